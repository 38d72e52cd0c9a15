import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  acs,
  advancedErrors,
  advancedFeatures,
  type Capability,
  msi,
  msix,
  pciExpress,
  powerManagement,
  sriov,
} from './capabilities.ts'
import { buildConfig, type ConfigDescription } from './config-build.ts'
import { type ConfigSpace, configSpace, virtualFunctionConfig } from './config-space.ts'
import type { Bar, ResetKind } from './function.ts'

const BARS: readonly Bar[] = [
  { index: 0, size: 0x20000, kind: 'mem32', prefetchable: false },
  { index: 2, size: 32, kind: 'io', prefetchable: false },
  { index: 4, size: 0x2_0000_0000, kind: 'mem64', prefetchable: true },
]

function make(more: Partial<ConfigDescription> = {}, bars: readonly Bar[] = BARS): ConfigSpace {
  const description = { vendor: 0x8086, device: 0x10d3, classCode: 0x020000, bars, ...more }
  return configSpace(buildConfig(description), bars)
}

function withCapabilities(...capabilities: readonly Capability[]): ConfigSpace {
  return make({ capabilities })
}

describe('a header', () => {
  it('keeps its ids whatever is written', () => {
    const config = make()
    config.write(0, 4, 0)
    config.write(8, 4, 0xffffffff)
    expect(config.read(0, 4)).toBe(0x10d3_8086)
    expect(config.read(8, 4)).toBe(0x0200_0000)
  })

  it('tells the size of its BARs when all ones are written', () => {
    const config = make()
    for (const offset of [0x10, 0x14, 0x18, 0x20, 0x24]) config.write(offset, 4, 0xffffffff)
    expect(config.read(0x10, 4)).toBe(0xfffe0000)
    expect(config.read(0x14, 4)).toBe(0)
    expect(config.read(0x18, 4)).toBe(0xffffffe1)
    // 8 GiB, 64 bits, prefetchable.
    expect(config.read(0x20, 4)).toBe(0x0000000c)
    expect(config.read(0x24, 4)).toBe(0xfffffffe)
  })

  it('clears error bits of the status register by writing ones, and nothing else by zeros', () => {
    const config = make()
    config.poke(0x06, 2, 0x3000)
    config.write(0x06, 2, 0x0000)
    expect(config.read(0x06, 2)).toBe(0x3000)
    config.write(0x06, 2, 0x1000)
    expect(config.read(0x06, 2)).toBe(0x2000)
  })

  it('takes bytes, words and dwords at any offset', () => {
    const config = make({ headerType: 1 }, [])
    config.write(0x19, 1, 0x12)
    expect(config.read(0x18, 4)).toBe(0x00001200)
    config.write(0x18, 4, 0x00_40_30_20)
    expect([config.read(0x18, 1), config.read(0x19, 1), config.read(0x1a, 1)]).toEqual([
      0x20, 0x30, 0x40,
    ])
    config.write(0x1e, 4, 0xfff0_0000)
    expect(config.read(0x20, 2)).toBe(0xfff0)
  })

  it('of a bridge has bus numbers, windows and a control register', () => {
    const config = make({ headerType: 1 }, [])
    config.write(0x20, 4, 0xffffffff)
    config.write(0x24, 4, 0xffffffff)
    config.write(0x28, 4, 0x12345678)
    config.write(0x3e, 2, 0x0040)
    expect(config.read(0x20, 4)).toBe(0xfff0fff0)
    expect(config.read(0x24, 4)).toBe(0xfff1fff1)
    expect(config.read(0x28, 4)).toBe(0x12345678)
    expect(config.read(0x3e, 2)).toBe(0x0040)
  })
})

describe('reading', () => {
  it('gives all ones beyond the end and for a function in no slot', () => {
    const config = make()
    expect(config.size).toBe(256)
    expect(config.read(0x100, 4)).toBe(0xffffffff)
    expect(config.read(0xff, 2)).toBe(0xffff)
    config.present = false
    config.write(0x3c, 1, 5)
    expect(config.read(0, 2)).toBe(0xffff)
    config.present = true
    expect(config.read(0x3c, 1)).toBe(0)
  })

  it('agrees between sizes, whatever was written', () => {
    const access = fc.record({
      offset: fc.integer({ min: 0, max: 4095 }),
      size: fc.constantFrom(1 as const, 2 as const, 4 as const),
      value: fc.integer({ min: 0, max: 0xffffffff }),
    })
    fc.assert(
      fc.property(fc.array(access, { maxLength: 60 }), (writes) => {
        const config = make({
          capabilities: [
            powerManagement({ pme: true }),
            msi({ vectors: 4 }),
            pciExpress({ type: 0 }),
          ],
          extended: [advancedErrors(), acs(0x7f)],
        })
        const before = config.snapshot()
        for (const { offset, size, value } of writes) config.write(offset, size, value)
        const after = config.snapshot()
        // Capability list, ids and everything beyond the last capability.
        for (const offset of [0, 1, 2, 3, 0x34, 0x40, 0x41, 0x100, 0x102, 0x200, 0xfff]) {
          expect(after[offset]).toBe(before[offset])
        }
        for (let n = 0; n < 4096; n += 4) {
          const low = config.read(n, 2) + config.read(n + 2, 2) * 0x10000
          expect(config.read(n, 4)).toBe(low)
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('capabilities', () => {
  it('are found by id, and only those that are there', () => {
    const config = make({
      capabilities: [powerManagement(), msix({ vectors: 5, bar: 3 }), pciExpress({ type: 0 })],
      extended: [acs(0x5f), advancedErrors()],
    })
    expect(config.capability(0x01)).toBe(0x40)
    expect(config.capability(0x11)).toBe(0x48)
    expect(config.capability(0x05)).toBe(0)
    expect(config.extendedCapability(0x0d)).toBe(0x100)
    expect(config.extendedCapability(0x01)).toBe(0x108)
    expect(config.extendedCapability(0x10)).toBe(0)
    expect(config.size).toBe(4096)
  })

  it('of ACS let only implemented control bits be set', () => {
    const config = make({ extended: [acs(0x1d)] })
    config.write(0x106, 2, 0xffff)
    expect(config.read(0x104, 4)).toBe(0x001d_001d)
  })

  it('of MSI-X let enable and mask be set, not the table size', () => {
    const config = withCapabilities(msix({ vectors: 5, bar: 3 }))
    config.write(0x42, 2, 0xffff)
    expect(config.read(0x42, 2)).toBe(0xc004)
    config.write(0x44, 4, 0)
    expect(config.read(0x44, 4)).toBe(3)
  })

  it('of MSI mask only vectors that exist', () => {
    const config = withCapabilities(msi({ vectors: 4, maskable: true }))
    config.write(0x50, 4, 0xffffffff)
    expect(config.read(0x50, 4)).toBe(0xf)
  })

  it('that are not known are read-only', () => {
    const vendorSpecific = { id: 0x09, bytes: Uint8Array.of(0x09, 0, 8, 0xaa, 1, 2, 3, 4) }
    const config = withCapabilities(vendorSpecific)
    config.write(0x44, 4, 0)
    expect(config.read(0x44, 4)).toBe(0x04030201)
  })
})

describe('resets', () => {
  it('come from bit 15 of Device Control, which reads as 0', () => {
    const config = withCapabilities(pciExpress({ type: 0, flr: true }))
    const kinds: ResetKind[] = []
    config.onReset((kind) => kinds.push(kind))
    config.write(0x04, 2, 0x0006)
    config.write(0x10, 4, 0xf0000000)
    config.write(0x48, 2, 0xa810)
    expect(kinds).toEqual(['flr'])
    expect(config.read(0x04, 2)).toBe(0)
    expect(config.read(0x10, 4)).toBe(0)
    expect(config.read(0x48, 2)).toBe(0x2810)
  })

  it('need the capability: without it bit 15 does nothing', () => {
    const config = withCapabilities(pciExpress({ type: 0 }))
    config.write(0x04, 2, 0x0006)
    config.write(0x48, 2, 0x8000)
    expect(config.read(0x04, 2)).toBe(0x0006)
  })

  it('come from the Advanced Features control', () => {
    const config = withCapabilities(advancedFeatures())
    config.write(0x04, 2, 0x0004)
    config.write(0x44, 1, 1)
    expect(config.read(0x04, 2)).toBe(0)
  })

  it('come with the way back from D3hot, unless the function keeps its state', () => {
    for (const noSoftReset of [false, true]) {
      const config = withCapabilities(powerManagement({ noSoftReset }))
      config.write(0x04, 2, 0x0002)
      config.write(0x44, 2, 3)
      expect(config.read(0x44, 2) & 3).toBe(3)
      config.write(0x44, 2, 0)
      expect(config.read(0x04, 2)).toBe(noSoftReset ? 0x0002 : 0)
    }
  })

  it('do not go to D1, which the function does not have', () => {
    const config = withCapabilities(powerManagement())
    config.write(0x44, 2, 1)
    expect(config.read(0x44, 2) & 3).toBe(0)
  })

  it('keep error status, masks and what is read-only', () => {
    const config = make({ extended: [advancedErrors()], interruptPin: 1 })
    config.poke(0x110, 4, 0x00000001)
    config.write(0x108, 4, 0x00100000)
    config.reset()
    expect(config.read(0x110, 4)).toBe(1)
    expect(config.read(0x108, 4)).toBe(0x00100000)
    expect(config.read(0x3d, 1)).toBe(1)
  })

  it('call a hook that resets registers again only once', () => {
    const config = make()
    let calls = 0
    config.onReset(() => {
      calls += 1
      config.reset()
    })
    config.reset()
    expect(calls).toBe(1)
  })
})

describe('hooks', () => {
  it('run after writes that touch their bytes, and see the new value', () => {
    const config = make()
    const seen: number[] = []
    config.onWrite(0x04, 2, () => seen.push(config.read(0x04, 2)))
    config.write(0x04, 4, 0x0006)
    config.write(0x05, 1, 0x04)
    config.write(0x06, 2, 0)
    config.write(0x08, 4, 0)
    expect(seen).toEqual([0x0006, 0x0406])
  })
})

describe('a physical function', () => {
  it('sizes BARs of its virtual functions like its own', () => {
    const virtualBars: readonly Bar[] = [
      { index: 0, size: 0x4000, kind: 'mem64', prefetchable: true },
    ]
    const options = { total: 8, offset: 0x80, stride: 2, vfDevice: 0x10ca, bars: virtualBars }
    const bytes = buildConfig({
      vendor: 0x8086,
      device: 0x10c9,
      classCode: 0x020000,
      extended: [sriov(options)],
    })
    const config = configSpace(bytes, [], virtualBars)
    config.write(0x124, 4, 0xffffffff)
    config.write(0x128, 4, 0xffffffff)
    expect(config.read(0x124, 4)).toBe(0xffffc00c)
    expect(config.read(0x128, 4)).toBe(0xffffffff)
    config.write(0x108, 2, 0xffff)
    expect(config.read(0x108, 2)).toBe(0x0019)
    config.write(0x110, 2, 8)
    config.reset('flr')
    expect(config.read(0x108, 2)).toBe(0)
    expect(config.read(0x110, 2)).toBe(0)
    // 4 KiB pages again.
    expect(config.read(0x120, 4)).toBe(1)
  })
})

describe('a virtual function', () => {
  it('shows no ids, has no BARs, and only the bus master bit of the command register', () => {
    const bytes = buildConfig({
      vendor: 0x8086,
      device: 0x10ca,
      classCode: 0x020000,
      capabilities: [pciExpress({ type: 0, flr: true })],
    })
    const config = virtualFunctionConfig(bytes)
    config.write(0x04, 2, 0xffff)
    config.write(0x10, 4, 0xffffffff)
    expect(config.read(0x00, 4)).toBe(0xffffffff)
    expect(config.read(0x04, 2)).toBe(0x0004)
    expect(config.read(0x10, 4)).toBe(0)
    config.write(0x48, 2, 0x8000)
    expect(config.read(0x04, 2)).toBe(0)
  })
})
