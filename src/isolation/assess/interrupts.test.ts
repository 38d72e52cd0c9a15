import { describe, expect, it } from 'vitest'
import { known } from '../../base/fact.ts'
import type { IommuUnit } from '../host.ts'
import { GOOD_HOST, groupIn, NOT_READ, type TestHost } from './assess.case.ts'
import type { Guarantee } from './guarantee.ts'

function msi(chips: readonly string[], more: Partial<TestHost> = {}): Guarantee {
  const host = { ...GOOD_HOST, units: [], chips: known(chips), ...more }
  return groupIn(host, '1').strength.msi
}

function intel(ecap: string): IommuUnit {
  return { name: 'dmar0', kind: 'intel', attributes: { ecap } }
}

const AMD: IommuUnit = { name: 'ivhd0', kind: 'amd', attributes: {} }

describe('msi from interrupt chips', () => {
  it.each([
    'IR-PCI-MSIX-0000:01:00.0',
    'IR-PCI-MSI',
    'IR-IO-APIC',
    'ITS-MSI',
    'ITS-PCI-MSIX-0000:01:00.0',
  ])('%s says yes', (chip) => {
    expect(msi([chip])).toEqual({ verdict: 'yes', evidence: `interrupt chip ${chip}` })
  })

  it.each(['PCI-MSI', 'PCI-MSIX-0000:07:00.0', 'IO-APIC', 'GICv2m-PCI-MSI-0000:01:00.0'])(
    '%s says no',
    (chip) => {
      expect(msi([chip]).verdict).toBe('no')
    },
  )

  it.each([[['DMAR-MSI']], [[]], [['hpet', 'XT-PIC']]])(
    '%s proves nothing, for other interrupts may not be in use',
    (chips) => {
      expect(msi(chips).verdict).toBe('unknown')
    },
  )

  it("one member's own chip without remapping says no where the host says yes", () => {
    const chips = ['IR-IO-APIC', 'PCI-MSIX-0000:01:00.0']
    expect(msi(chips).verdict).toBe('no')
    expect(groupIn({ ...GOOD_HOST, chips: known(chips) }, '0').strength.msi.verdict).toBe('yes')
  })

  it("an AMD IOMMU's own interrupt says nothing, with and without an address in its name", () => {
    const iommu = { at: '0000:00:00.2', type: null, classCode: 0x080600, group: null }
    const functions = [iommu, ...GOOD_HOST.functions]
    expect(msi(['PCI-MSI-0000:00:00.2'], { functions, units: [AMD] }).verdict).toBe('unknown')
    expect(msi(['PCI-MSI'], { units: [AMD] }).verdict).toBe('unknown')
    expect(msi(['PCI-MSI', 'IR-IO-APIC'], { units: [AMD] }).verdict).toBe('yes')
    expect(msi(['PCI-MSI', 'IO-APIC'], { units: [AMD] }).verdict).toBe('no')
  })
})

describe('msi without a chip that tells', () => {
  it('is no when a VT-d unit cannot remap: bit 3 of ecap', () => {
    expect(msi([], { units: [intel('f00f4a')] }).verdict).toBe('unknown')
    expect(msi([], { units: [intel('f00f4a'), intel('f42')] }).verdict).toBe('no')
    expect(msi([], { units: [intel('f42')] }).evidence).toContain('bit 3')
  })

  it('is not decided by a register that is missing or no number', () => {
    expect(msi([], { units: [intel('')] }).verdict).toBe('unknown')
    expect(msi([], { units: [{ ...intel(''), attributes: {} }] }).verdict).toBe('unknown')
  })

  it('is no when the kernel was told to leave it off, unless a later option says otherwise', () => {
    expect(msi([], { commandLine: 'quiet intremap=off' }).verdict).toBe('no')
    expect(msi([], { commandLine: 'nointremap' }).verdict).toBe('no')
    expect(msi([], { commandLine: 'intremap=off intremap=on' }).verdict).toBe('unknown')
    expect(msi([], { commandLine: 'intremap=no_x2apic_optout' }).verdict).toBe('unknown')
    expect(msi(['IR-IO-APIC'], { commandLine: 'intremap=off' }).verdict).toBe('yes')
  })

  it('is unknown with the reason when the chips could not be read', () => {
    expect(msi([], { chips: NOT_READ })).toEqual({
      verdict: 'unknown',
      evidence: 'interrupt chips: permission denied',
    })
  })
})
