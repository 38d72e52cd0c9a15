/**
 * Changes of the whole machine: kernel version, interrupt remapping, the IOMMU. The kernel's command line
 * follows them, as it would on a host where a person makes the change.
 */
import { atLeast, NEWEST_CHECKED, parseKernelVersion } from '../../../base/kernel-version.ts'
import type { IommuDescription, MachineDescription, UnitDescription } from '../description.ts'
import { Refusal } from './refusal.ts'

export function setKernel(
  machine: MachineDescription,
  release: string,
  notes: string[],
): MachineDescription {
  const version = parseKernelVersion(release)
  const { major, minor } = NEWEST_CHECKED
  if (version !== null && atLeast(version, major, minor + 1)) {
    const newest = `${String(major)}.${String(minor)}`
    notes.push(`kernel ${release} is newer than ${newest}, the newest one whose rules were checked`)
  }
  return { ...machine, kernelRelease: release }
}

/** @throws Refusal EINVAL when there is nothing that could be switched */
export function setRemapping(
  machine: MachineDescription,
  on: boolean,
  notes: string[],
): MachineDescription {
  const { iommu } = machine
  if (iommu === null) {
    const why = 'no IOMMU is in use, so interrupts are not remapped'
    throw new Refusal('EINVAL', why, 'say iommu=on before this change')
  }
  const fixed = FIXED[iommu.kind]
  if (fixed !== undefined) {
    throw new Refusal('EINVAL', fixed, 'only with VT-d and AMD-Vi can it be switched')
  }
  if (iommu.interruptRemapping === on) notes.push(`interrupt remapping is ${onOff(on)} already`)
  const words = wordsOf(machine).filter((word) => !/^intremap=/.test(word))
  const commandLine = (on ? words : [...words, 'intremap=off']).join(' ')
  const units = on ? iommu.units.map((unit) => ableToRemap(unit, notes)) : iommu.units
  return { ...machine, commandLine, iommu: { ...iommu, units, interruptRemapping: on } }
}

/** IR of the extended capability register (Intel VT-d specification, 11.4.3). */
const REMAPS = 0x8n

/** The unit as if its hardware could: a person who asks means that too. */
function ableToRemap(unit: UnitDescription, notes: string[]): UnitDescription {
  const ecap = unit.attributes['ecap']
  if (ecap === undefined || !/^[0-9a-f]+$/.test(ecap)) return unit
  const value = BigInt(`0x${ecap}`)
  if ((value & REMAPS) !== 0n) return unit
  notes.push(`${unit.name} cannot remap interrupts (ecap ${ecap}); after the change it can`)
  const attributes = { ...unit.attributes, ecap: (value | REMAPS).toString(16) }
  return { ...unit, attributes }
}

const FIXED: Partial<Record<IommuDescription['kind'], string>> = {
  power: 'on POWER every partitionable endpoint has interrupts of its own, always',
  gart: 'a GART remaps no interrupts',
}

/** Arguments that decide whether the IOMMU is in use. */
const SWITCHES = /^(?:intel_iommu|amd_iommu|iommu)=(?:on|off)$/

export function setIommu(
  machine: MachineDescription,
  on: boolean,
  notes: string[],
): MachineDescription {
  if (on === (machine.iommu !== null)) {
    const kind = machine.iommu === null ? '' : ` (${machine.iommu.kind})`
    notes.push(`the IOMMU${kind} is ${onOff(on)} already`)
    return machine
  }
  const words = wordsOf(machine).filter((word) => !SWITCHES.test(word))
  if (!on) return { ...machine, iommu: null, commandLine: [...words, 'iommu=off'].join(' ') }
  const amd = machine.cpu.vendor === 'AuthenticAMD'
  return {
    ...machine,
    // AMD-Vi is on unless told otherwise, VT-d in many kernels off.
    commandLine: (amd ? words : [...words, 'intel_iommu=on']).join(' '),
    iommu: {
      kind: amd ? 'amd' : 'intel',
      interruptRemapping: !words.includes('intremap=off'),
      units: [{ name: amd ? 'ivhd0' : 'dmar0', attributes: {}, scope: null }],
      defaultDomain: 'DMA-FQ',
      reserved: [],
    },
    acpiTables: [...new Set([...machine.acpiTables, amd ? 'IVRS' : 'DMAR'])].sort(),
  }
}

function wordsOf({ commandLine }: MachineDescription): readonly string[] {
  return commandLine.split(/\s+/).filter((word) => word !== '')
}

function onOff(on: boolean): string {
  return on ? 'on' : 'off'
}
