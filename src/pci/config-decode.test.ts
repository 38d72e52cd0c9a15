import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import { decodeConfig } from './config-decode.ts'

/** Config space under construction: header type 0, capability list enabled. */
function space(size: number): {
  bytes: Uint8Array
  word(at: number, value: number): void
  dword(at: number, value: number): void
} {
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint16(0x00, 0x8086, true)
  view.setUint16(0x06, 0x10, true)
  return {
    bytes,
    word: (at, value) => view.setUint16(at, value, true),
    dword: (at, value) => view.setUint32(at, value, true),
  }
}

describe('decodeConfig()', () => {
  it('reads PCIe type, FLR, ACS and SR-IOV of a whole space', () => {
    const s = space(4096)
    s.bytes[0x0e] = 0x80
    s.bytes[0x34] = 0x40
    s.word(0x40, 0x5001)
    s.word(0x50, 0x0010)
    s.word(0x52, 0x0002)
    s.dword(0x54, 1 << 28)
    s.dword(0x100, 0x1401000d)
    s.word(0x104, 0x005f)
    s.word(0x106, 0x001d)
    s.dword(0x140, 0x00010010)
    s.word(0x148, 1)
    s.word(0x14e, 8)
    s.word(0x150, 3)
    s.word(0x154, 128)
    s.word(0x156, 2)
    s.word(0x15a, 0x10ed)
    const facts = decodeConfig(s.bytes, true)
    expect(facts.multifunction).toEqual(known(true))
    expect(facts.pcie).toEqual(known({ type: 0 }))
    expect(facts.functionLevelReset).toEqual(known(true))
    expect(facts.acs.known && facts.acs.value?.bits).toEqual(
      known({ capability: 0x5f, control: 0x1d }),
    )
    expect(facts.sriov).toEqual(
      known({ totalVfs: 8, numVfs: 3, offset: 128, stride: 2, vfDevice: 0x10ed }),
    )
    expect(facts.damage).toEqual([])
  })

  it('reads the ACS dwords of Sunrise Point at +4 and +8', () => {
    const s = space(4096)
    s.dword(0x100, 0x0001000d)
    s.dword(0x104, 0x0000001f)
    s.dword(0x108, 0x0000001d)
    const { acs } = decodeConfig(s.bytes, true)
    expect(acs.known && acs.value?.wideBits).toEqual(known({ capability: 0x1f, control: 0x1d }))
    expect(acs.known && acs.value?.bits).toEqual(known({ capability: 0x1f, control: 0 }))
  })

  it('follows the extended list to offsets that are multiples of 4', () => {
    const s = space(4096)
    s.dword(0x100, 0x10c10001)
    s.dword(0x10c, 0x0001000d)
    s.word(0x110, 0x001f)
    const { acs, extendedCapabilities } = decodeConfig(s.bytes, true)
    expect(extendedCapabilities).toEqual(known([0x0001, 0x000d]))
    expect(acs.known && acs.value?.bits).toEqual(known({ capability: 0x1f, control: 0 }))
  })

  it('an ordinary user sees bridge numbers, but neither type nor ACS', () => {
    const s = space(64)
    s.bytes[0x0e] = 0x01
    s.bytes[0x18] = 0
    s.bytes[0x19] = 3
    s.bytes[0x1a] = 7
    s.bytes[0x34] = 0x40
    const facts = decodeConfig(s.bytes, false)
    expect(facts.buses).toEqual(known({ primary: 0, secondary: 3, subordinate: 7 }))
    expect(facts.pcie.known).toBe(false)
    expect(facts.acs.known).toBe(false)
    expect(facts.functionLevelReset.known).toBe(false)
    expect(facts.damage).toEqual([])
  })

  it('a conventional device has no PCIe capability and no extended space: known, not unknown', () => {
    const facts = decodeConfig(space(256).bytes, false)
    expect(facts.pcie).toEqual(known(null))
    expect(facts.acs).toEqual(known(null))
  })

  it('256 bytes of a PCIe function leave ACS unknown in a dump, absent in a whole read', () => {
    const s = space(256)
    s.bytes[0x34] = 0x40
    s.word(0x40, 0x0010)
    s.word(0x42, 0x0042)
    expect(decodeConfig(s.bytes, false).acs.known).toBe(false)
    expect(decodeConfig(s.bytes, true).acs).toEqual(known(null))
  })

  it('a looped list ends with damage, and what was not found in it is unknown', () => {
    const s = space(256)
    s.bytes[0x34] = 0x40
    s.word(0x40, 0x5005)
    s.word(0x50, 0x4001)
    const facts = decodeConfig(s.bytes, true)
    expect(facts.damage).toEqual(['capability list loops at 0x40'])
    expect(facts.pcie.known).toBe(false)
  })

  it('a looped extended list ends with damage', () => {
    const s = space(4096)
    s.dword(0x100, 0x1401000b)
    s.dword(0x140, 0x1001000b)
    const facts = decodeConfig(s.bytes, true)
    expect(facts.damage).toEqual(['extended capability list loops at 0x100'])
    expect(facts.acs.known).toBe(false)
  })

  it('a device that reads all ones does not answer: everything is unknown', () => {
    const facts = decodeConfig(new Uint8Array(4096).fill(0xff), true)
    expect(facts.headerType).toEqual({
      known: false,
      why: 'config space reads all ones: the device does not answer',
    })
  })

  it('no bytes make it throw, hang or claim more than it read', () => {
    const sizes = fc.constantFrom(0, 1, 63, 64, 65, 128, 255, 256, 257, 260, 4095, 4096, 5000)
    const spaces = sizes.chain((size) =>
      fc
        .array(fc.tuple(fc.nat(Math.max(0, size - 1)), fc.nat(255)), { maxLength: 60 })
        .map((pokes) => {
          const bytes = new Uint8Array(size)
          if (size > 0x34) bytes.set([0x10, 0x00], 0x06)
          if (size > 0x34) bytes[0x34] = 0x40
          for (const [at, value] of pokes) bytes[at] = value
          return bytes
        }),
    )
    fc.assert(
      fc.property(
        fc.oneof(spaces, fc.uint8Array({ maxLength: 4200 })),
        fc.boolean(),
        (bytes, whole) => {
          const facts = decodeConfig(bytes, whole)
          if (bytes.length < 64) expect(facts.size).toBe(0)
          if (facts.capabilities.known)
            expect(facts.capabilities.value.length).toBeLessThanOrEqual(48)
          if (bytes.length <= 256 && facts.acs.known) expect(facts.acs.value).toBeNull()
        },
      ),
      { numRuns: Number(process.env['ISOGROUP_RUNS'] ?? 5000) },
    )
  })
})
