/**
 * IOMMU units: /sys/class/iommu/<unit>/ with the attributes that Intel and AMD publish. Other drivers
 * publish none; their units are named after the device.
 */
import { type Fact, known } from '../base/fact.ts'
import type { IommuUnit } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { readList, readText } from './reading.ts'

export const UNITS = '/sys/class/iommu'
const ATTRIBUTE_DIRS = [
  { kind: 'intel', dir: 'intel-iommu' },
  { kind: 'amd', dir: 'amd-iommu' },
] as const

export function readUnits(kernel: KernelView): Fact<readonly IommuUnit[]> {
  const names = readList(kernel, UNITS)
  if (!names.known) return names
  return known([...(names.value ?? [])].sort(byNumber).map((name) => readUnit(kernel, name)))
}

/** "dmar2" before "dmar10"; localeCompare would load its tables first, which costs more than the rest. */
function byNumber(a: string, b: string): number {
  const [nameA, numberA] = splitNumber(a)
  const [nameB, numberB] = splitNumber(b)
  if (nameA !== nameB) return nameA < nameB ? -1 : 1
  return numberA - numberB
}

function splitNumber(name: string): [name: string, number: number] {
  const digits = /\d*$/.exec(name)?.[0] ?? ''
  return [name.slice(0, name.length - digits.length), Number(digits)]
}

function readUnit(kernel: KernelView, name: string): IommuUnit {
  for (const { kind, dir } of ATTRIBUTE_DIRS) {
    const path = `${UNITS}/${name}/${dir}`
    const files = readList(kernel, path)
    if (!files.known || files.value === null) continue
    const attributes: Record<string, string> = {}
    for (const file of [...files.value].sort()) {
      const text = readText(kernel, `${path}/${file}`)
      if (text.known && text.value !== null) attributes[file] = text.value
    }
    return { name, kind, attributes }
  }
  return { name, kind: 'other', attributes: {} }
}
