import { describe, expect, it } from 'vitest'
import { buildConfig } from '../../hardware/config-build.ts'
import {
  acs,
  type Capability,
  msi,
  pciExpress,
  powerManagement,
} from '../../hardware/capabilities.ts'
import { configSpace, type ConfigSpace } from '../../hardware/config-space.ts'
import type { Bar } from '../../hardware/function.ts'
import { errnoOf, number } from '../machine.case.ts'
import { type ConfigEffects, VirtualConfig } from './virtual-config.ts'

const BARS: readonly Bar[] = [
  { index: 0, size: 0x20000, kind: 'mem32', prefetchable: false },
  { index: 1, size: 0x20, kind: 'io', prefetchable: false },
  { index: 2, size: 0x1_0000_0000, kind: 'mem64', prefetchable: true },
  { index: 6, size: 0x10000, kind: 'rom', prefetchable: false },
]

interface Fixture {
  readonly config: ConfigSpace
  readonly virtual: VirtualConfig
  readonly calls: string[]
  readonly messages: { enabled: boolean; maximum: number }
  readonly get: (offset: number, size: 1 | 2 | 4) => number
  readonly set: (offset: number, size: 1 | 2 | 4, value: number) => void
}

function fixture(
  capabilities: readonly Capability[] = [],
  extended: readonly Capability[] = [],
  patch: (bytes: Uint8Array) => void = () => undefined,
  version = { major: 6, minor: 12 },
): Fixture {
  const bytes = buildConfig({
    vendor: 0x8086,
    device: 0x10d3,
    classCode: 0x020000,
    bars: BARS,
    interruptPin: 1,
    capabilities,
    extended,
  })
  patch(bytes)
  const config = configSpace(bytes, BARS)
  config.write(0x10, 4, 0xfe000000)
  config.write(0x14, 4, 0xc000)
  config.write(0x1c, 4, 0x8)
  config.write(0x30, 4, 0xfea00000)
  config.write(0x04, 2, 3)
  const calls: string[] = []
  const messages = { enabled: false, maximum: 0 }
  const effects: ConfigEffects = {
    setIntxDisabled: (disabled) => calls.push(`intx ${disabled ? 'off' : 'on'}`),
    setPowerState: (state) => calls.push(`D${String(state)}`),
    reset: () => calls.push('reset'),
    log: (text) => calls.push(text),
    messages,
  }
  const virtual = new VirtualConfig({
    version,
    config,
    vendor: 0x8086,
    device: 0x10d3,
    isVirtual: false,
    hasPin: true,
    bars: BARS,
    effects,
  })
  return {
    config,
    virtual,
    calls,
    messages,
    get: (offset, size) => number(virtual.read(offset, size)),
    set: (offset, size, value) => {
      const data = new Uint8Array(size)
      for (let n = 0; n < size; n += 1) data[n] = value >>> (8 * n)
      virtual.write(offset, data)
    },
  }
}

describe('the header that a user sees', () => {
  it('has ids that cannot be written, and a line register that is nobody else’s', () => {
    const { config, get, set } = fixture()
    set(0, 4, 0)
    expect(get(0, 4)).toBe(0x10d38086)
    set(0x3c, 1, 0x55)
    expect([get(0x3c, 1), config.read(0x3c, 1)]).toEqual([0x55, 0])
    expect(get(0x3d, 1)).toBe(1)
  })

  it('can be sized by its BARs without the device noticing', () => {
    const { config, get, set } = fixture()
    const before = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x30].map((at) => config.read(at, 4))
    for (const at of [0x10, 0x14, 0x18, 0x1c, 0x20, 0x30]) set(at, 4, 0xffffffff)
    expect([0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map((at) => get(at, 4))).toEqual([
      ...[0xfffe0000, 0xffffffe1, 0x0000000c, 0xffffffff],
      ...[0, 0, 0xffff0001],
    ])
    expect([0x10, 0x14, 0x18, 0x1c, 0x20, 0x30].map((at) => config.read(at, 4))).toEqual(before)
    set(0x10, 4, 0x12345678)
    expect(get(0x10, 4)).toBe(0x12340000)
  })

  it('passes the bus master bit to the device and keeps DisINTx', () => {
    const { config, calls, virtual, get, set } = fixture()
    set(4, 2, 0x0407)
    expect(config.read(4, 2)).toBe(7)
    expect(get(4, 2)).toBe(0x0407)
    expect([calls, virtual.intxDisabled]).toEqual([['intx off'], true])
    set(4, 2, 0x0407)
    set(5, 1, 0)
    expect([calls, virtual.intxDisabled]).toEqual([['intx off', 'intx on'], false])
    set(4, 2, 0)
    expect(virtual.memoryEnabled).toBe(false)
  })

  it('has its BARs restored when the device was reset behind the back of the user', () => {
    const { config, calls, set } = fixture()
    config.reset('flr')
    expect(config.read(0x10, 4)).toBe(0)
    set(4, 2, 2)
    expect(calls).toEqual(['vfio_bar_restore: reset recovery - restoring BARs'])
    expect(config.read(0x10, 4)).toBe(0xfe000000)
  })

  it('ends where it ends', () => {
    const { virtual } = fixture()
    expect(errnoOf(() => virtual.read(256, 1))).toBe('EFAULT')
    expect(errnoOf(() => virtual.read(254, 4))).toBe('EFAULT')
    expect(errnoOf(() => virtual.write(256, new Uint8Array(1)))).toBe('EFAULT')
    expect(virtual.read(1, 254).length).toBe(254)
  })
})

describe('capabilities that a user sees', () => {
  const PM = 0x40

  it('are in the chain unless their length is not known', () => {
    const unknown = { id: 0x0d, bytes: Uint8Array.of(0x0d, 0, 0, 0, 1, 2, 3, 4) }
    const { get, set, config } = fixture([powerManagement(), unknown, msi({ vectors: 4 })])
    expect([get(0x34, 1), get(0x41, 1), config.read(0x41, 1)]).toEqual([0x40, 0x50, 0x48])
    expect(get(0x51, 1)).toBe(0)
    const alone = fixture([unknown])
    expect(alone.get(0x34, 1)).toBe(0)
    expect(alone.get(6, 2) & 0x10).toBe(0)
    set(0x34, 1, 0)
    expect(get(0x34, 1)).toBe(0x40)
  })

  it('power management: states are the kernel’s business, wake events hidden', () => {
    const { config, calls, get, set } = fixture([powerManagement({ pme: true })])
    expect(config.read(PM + 2, 2) & 0xf800).not.toBe(0)
    expect(get(PM + 2, 2) & 0xf800).toBe(0)
    set(PM + 4, 2, 3)
    expect(calls).toEqual(['D3'])
    expect(config.read(PM + 4, 2) & 3).toBe(0)
    set(PM + 4, 2, 0x100)
    expect(config.read(PM + 4, 2) & 0x100).toBe(0)
  })

  it('MSI: messages stay in the copy, and it is enabled by the ioctl only', () => {
    const { config, messages, get, set } = fixture([msi({ vectors: 8 })])
    set(0x44, 4, 0xfee01000)
    set(0x4c, 2, 0x4041)
    expect([get(0x44, 4), get(0x4c, 2)]).toEqual([0xfee01000, 0x4041])
    expect([config.read(0x44, 4), config.read(0x4c, 2)]).toEqual([0, 0])
    set(0x42, 2, 0x31)
    expect([get(0x42, 2) & 0x71, config.read(0x42, 2) & 0x71]).toEqual([0, 0])
    Object.assign(messages, { enabled: true, maximum: 2 })
    set(0x42, 2, 0x31)
    expect([get(0x42, 2) & 0x71, config.read(0x42, 2) & 0x71]).toEqual([0x21, 0x21])
  })

  it('PCI Express: payload size is virtual, a function level reset becomes one', () => {
    const { config, calls, get, set } = fixture([pciExpress({ type: 0, flr: true })])
    const control = config.read(0x48, 2)
    set(0x48, 2, 0x8000 | 0x20 | 0x1)
    expect(calls).toEqual(['reset'])
    expect(get(0x48, 2)).toBe(0x21)
    expect(config.read(0x48, 2)).toBe((control & 0xe0) | 1)
    // The read request size is virtual too, but the kernel follows, as far as there are sizes.
    set(0x48, 2, 0x3000)
    set(0x48, 2, 0x7000)
    expect([get(0x48, 2), config.read(0x48, 2)]).toEqual([0x7000, 0x3000])
    const plain = fixture([pciExpress({ type: 0 })])
    plain.set(0x48, 2, 0x8000)
    expect(plain.calls).toEqual([])
    expect(plain.get(0x48, 2) & 0x8000).toBe(0)
  })

  it('bytes of no capability go straight through; read-only ones take nothing', () => {
    const { config, get, set } = fixture([powerManagement()], [acs(0x5f)])
    config.poke(0x80, 1, 0x12)
    expect(get(0x80, 1)).toBe(0x12)
    set(0x106, 2, 0x1d)
    expect(config.read(0x106, 2)).toBe(0)
    expect(get(0x104, 2)).toBe(0x5f)
  })

  it('a hidden extended capability is skipped, or anchors the chain without an id', () => {
    const unknown = { id: 0x05, bytes: Uint8Array.of(5, 0, 1, 0, 9, 9, 9, 9) }
    const first = fixture([pciExpress({ type: 0 })], [unknown, acs(0x5f)])
    expect(first.get(0x100, 4)).toBe(0x10800000)
    expect(first.get(0x108, 2)).toBe(0x0d)
    const second = fixture([pciExpress({ type: 0 })], [acs(0x5f), unknown])
    expect(second.get(0x100, 4) >>> 20).toBe(0)
    expect(second.config.read(0x100, 4) >>> 20).toBe(0x108)
    expect(fixture([pciExpress({ type: 0 })], [unknown]).get(0x100, 4)).toBe(0)
  })

  it('designated vendor specific ones are shown since 6.4', () => {
    const designated = { id: 0x23, bytes: Uint8Array.of(0x23, 0, 1, 0, 0, 0, 0xc1, 0, 1, 2, 3, 4) }
    const seen = (minor: number): number =>
      fixture([pciExpress({ type: 0 })], [acs(0x5f), designated], undefined, {
        major: 6,
        minor,
      }).get(0x100, 4) >>> 20
    expect([seen(1), seen(4)]).toEqual([0, 0x108])
  })

  it('a read request is never shorter than the payload in use', () => {
    const { config, set } = fixture([pciExpress({ type: 0 })], [], (bytes) => {
      bytes[0x48] = 0x40
      bytes[0x49] = 0x30
    })
    set(0x48, 2, 0)
    expect(config.read(0x48, 2) & 0x7000).toBe(0x2000)
  })

  it('survive a chain that loops', () => {
    const { get } = fixture([powerManagement()], [], (bytes) => {
      bytes[0x41] = 0x40
    })
    expect(get(0x40, 1)).toBe(1)
  })
})
