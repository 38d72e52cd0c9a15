/**
 * Names of the interrupt chips in use, from /proc/interrupts: the surest sign that user space sees of
 * interrupt remapping ("IR-PCI-MSIX-0000:01:00.0", earlier "IR-PCI-MSI").
 *
 *               CPU0       CPU1
 *      24:         0         12  IR-PCI-MSI 524288-edge      nvme0q0
 *      NMI:        0          0   Non-maskable interrupts
 *
 * The IOMMU's own interrupts are never remapped and say nothing; they are left out.
 */
import { type Fact, known, mapFact } from '../base/fact.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { readList, readText, required } from './reading.ts'

const INTERRUPTS = '/proc/interrupts'
const DESCRIPTORS = '/sys/kernel/irq'
/** Descriptors read where /proc/interrupts is missing. */
const DESCRIPTORS_MAX = 1024

export function readInterruptChips(kernel: KernelView): Fact<readonly string[]> {
  const text = readText(kernel, INTERRUPTS, 16 * 1024 * 1024)
  if (text.known && text.value !== null) return known(parseInterrupts(text.value))
  const descriptors = readList(kernel, DESCRIPTORS)
  if (!descriptors.known || descriptors.value === null) {
    return mapFact(required(text, INTERRUPTS), parseInterrupts)
  }
  const chips = new Set<string>()
  for (const irq of descriptors.value.slice(0, DESCRIPTORS_MAX)) {
    const chip = readText(kernel, `${DESCRIPTORS}/${irq}/chip_name`)
    if (chip.known && chip.value !== null && chip.value !== '') chips.add(chip.value)
  }
  return known([...chips].filter((chip) => !isIommuChip(chip)).sort())
}

export function parseInterrupts(text: string): string[] {
  const [header = '', ...lines] = text.split('\n')
  const cpus = header.split(/\s+/).filter((word) => /^CPU\d+$/.test(word)).length
  const chips = new Set<string>()
  for (const line of lines) {
    const words = line.trim().split(/\s+/)
    if (!/^\d+:$/.test(words[0] ?? '')) continue
    const chip = words[1 + cpus]
    const action = words.slice(2 + cpus).join(' ')
    if (chip === undefined || isIommuChip(chip) || /\bAMD-Vi/.test(action)) continue
    chips.add(chip)
  }
  return [...chips].sort()
}

function isIommuChip(chip: string): boolean {
  return chip === 'DMAR-MSI' || chip === 'DMAR'
}
