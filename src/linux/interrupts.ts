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
    if (!chip.known || chip.value === null || chip.value === '') continue
    const actions = readText(kernel, `${DESCRIPTORS}/${irq}/actions`)
    const action = actions.known ? (actions.value ?? '') : ''
    if (!isOfIommu(chip.value, action)) chips.add(chip.value)
  }
  return known([...chips].sort())
}

/**
 * The chip stands after the number and one count for each processor that the first line names. A host
 * with 256 of them and 10,000 interrupts prints 28 MB, so counts are stepped over, not split.
 */
export function parseInterrupts(text: string): string[] {
  const headerEnd = lineEnd(text, 0)
  const cpus = text.slice(0, headerEnd).match(/\bCPU\d+\b/g)?.length ?? 0
  const chips = new Set<string>()
  for (let start = headerEnd + 1; start < text.length; start = lineEnd(text, start) + 1) {
    NUMBERED.lastIndex = start
    if (!NUMBERED.test(text)) continue
    const end = lineEnd(text, start)
    let at = NUMBERED.lastIndex
    for (let i = 0; i < cpus; i++) at = wordEnd(text, at, end)
    const chipEnd = wordEnd(text, at, end)
    const chip = text.slice(at, chipEnd).trim()
    if (chip !== '' && !isOfIommu(chip, text.slice(chipEnd, end))) chips.add(chip)
  }
  return [...chips].sort()
}

/** "  24:", not " NMI:", at the start of a line. */
const NUMBERED = /[ \t]*\d+:/y

function lineEnd(text: string, start: number): number {
  const end = text.indexOf('\n', start)
  return end < 0 ? text.length : end
}

/** The end of the word that follows the blanks at `start`; `end` when there is none. */
function wordEnd(text: string, start: number, end: number): number {
  let at = start
  while (at < end && isBlank(text.charCodeAt(at))) at++
  while (at < end && !isBlank(text.charCodeAt(at))) at++
  return at
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** Intel's have a chip of their own, AMD's the name of the driver as action ("AMD-Vi", "AMD-Vi0-Evt"). */
function isOfIommu(chip: string, action: string): boolean {
  return chip === 'DMAR-MSI' || chip === 'DMAR' || /\bAMD-Vi/.test(action)
}
