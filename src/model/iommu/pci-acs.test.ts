import { describe, expect, it } from 'vitest'
import { acsEnabled, acsPathEnabled } from './pci-acs.ts'
import { GOOD_ACS, PciTree, type Traits } from './pci-tree.case.ts'

const RULES = { version: { major: 6, minor: 12 }, ivrs: false }
const AMD = { ...RULES, ivrs: true }

function enabled(traits: Traits, rules = RULES, byQuirk = false): boolean {
  const device = new PciTree().plug('0000:00:01.0', traits)
  device.acsEnabledByQuirk = byQuirk
  return acsEnabled(device, rules)
}

describe('acsEnabled, by registers', () => {
  // biome-ignore format: a table
  it.each<[string, Traits, boolean]>([
    ['conventional', { type: null }, false],
    ['conventional with ACS registers', { type: null, acs: GOOD_ACS }, false],
    ['root port with SV|RR|CR|UF', { type: 4, acs: GOOD_ACS }, true],
    ['root port without the capability', { type: 4 }, false],
    ['root port before the kernel turned it on', { type: 4, acs: [0x5f, 0] }, false],
    ['root port with one bit off', { type: 4, acs: [0x5f, 0x19] }, false],
    ['root port that implements source validation only', { type: 4, acs: [0x01, 0x01] }, true],
    ['downstream port without the capability', { type: 6 }, false],
    ['single-function upstream port', { type: 5 }, true],
    ['multifunction upstream port', { type: 5, multifunction: true }, false],
    ['PCIe-to-PCI bridge', { type: 7, acs: GOOD_ACS }, false],
    ['PCI-to-PCIe bridge', { type: 8, acs: GOOD_ACS }, false],
    ['event collector', { type: 10, acs: GOOD_ACS }, false],
    ['single-function endpoint', { type: 0 }, true],
    ['multifunction endpoint', { type: 0, multifunction: true }, false],
    ['multifunction endpoint with ACS', { type: 0, multifunction: true, acs: GOOD_ACS }, true],
    ['multifunction integrated endpoint', { type: 9, multifunction: true }, false],
    ['a type nobody knows', { type: 15 }, true],
  ])('%s', (_name, traits, expected) => {
    expect(enabled(traits)).toBe(expected)
  })
})

describe('acsEnabled, by quirk', () => {
  const mf = { type: 0, multifunction: true }

  it('trusts vendors that say their functions do not talk', () => {
    expect(enabled({ ...mf, vendor: 0x8086, device: 0x1521 })).toBe(true)
  })

  it('trusts integrated endpoints of Intel, and only those', () => {
    expect(enabled({ ...mf, type: 9, vendor: 0x8086 })).toBe(true)
    expect(enabled({ ...mf, type: 0, vendor: 0x8086 })).toBe(false)
  })

  it('believes an Intel PCH port only when its peer decode was switched off', () => {
    const port = { type: 4, vendor: 0x8086, device: 0x1c10 }
    expect(enabled(port, RULES, true)).toBe(true)
    expect(enabled({ ...port, acs: GOOD_ACS }, RULES, false)).toBe(false)
  })

  it('finds the control register of Sunrise Point ports at +8', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:1c.0', {
      type: 4,
      vendor: 0x8086,
      device: 0xa110,
      acs: [0x5f, 0],
    })
    const { config } = port.hardware
    expect(acsEnabled(port, RULES)).toBe(false)
    config.poke(config.extendedCapability(0x0d) + 8, 4, 0x1d)
    expect(acsEnabled(port, RULES)).toBe(true)
    expect(enabled({ type: 4, vendor: 0x8086, device: 0xa110 })).toBe(false)
  })

  it('overrules the registers of Zhaoxin ports it does not know', () => {
    expect(enabled({ type: 4, vendor: 0x1d17, device: 0x0999, acs: GOOD_ACS })).toBe(false)
    expect(enabled({ type: 4, vendor: 0x1d17, device: 0x0710 })).toBe(true)
    expect(enabled({ type: 0, vendor: 0x1d17, device: 0x0999 })).toBe(true)
  })

  it('trusts AMD southbridge functions on the root bus where ACPI has an IVRS table', () => {
    const audio = { type: null, multifunction: true, vendor: 0x1002, device: 0x4383 }
    expect(enabled(audio, AMD)).toBe(true)
    expect(enabled(audio, RULES)).toBe(false)
    expect(enabled({ ...audio, multifunction: false }, AMD)).toBe(false)
    const tree = new PciTree()
    const port = tree.plug('0000:00:01.0', { type: 4, acs: GOOD_ACS })
    expect(acsEnabled(tree.plug('0000:01:00.0', { ...audio, below: port }), AMD)).toBe(false)
  })

  it('knows entries by kernel version', () => {
    const nic = { ...mf, vendor: 0x8088, device: 0x0100 }
    expect(enabled(nic)).toBe(true)
    expect(enabled(nic, { ...RULES, version: { major: 6, minor: 2 } })).toBe(false)
  })
})

describe('acsPathEnabled', () => {
  it('holds when everything up to the root bus isolates', () => {
    const tree = new PciTree()
    const good = tree.plug('0000:00:01.0', { type: 4, acs: GOOD_ACS })
    const bad = tree.plug('0000:00:02.0', { type: 4 })
    const up = tree.plug('0000:01:00.0', { type: 5, below: good })
    const upBelowBad = tree.plug('0000:02:00.0', { type: 5, below: bad })
    expect(acsPathEnabled(up, RULES)).toBe(true)
    expect(acsPathEnabled(upBelowBad, RULES)).toBe(false)
    expect(acsPathEnabled(tree.plug('0000:03:00.0', { type: 6, below: up }), RULES)).toBe(false)
  })
})
