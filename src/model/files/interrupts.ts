/**
 * Interrupts as user space sees them: /proc/interrupts (kernel/irq/proc.c, show_interrupts) and
 * /sys/kernel/irq/ (kernel/irq/irqdesc.c).
 *
 * The chip's name is the surest sign of interrupt remapping that user space gets: "IR-PCI-MSIX-0000:01:00.0"
 * since 6.2, when every device got an interrupt domain of its own, "IR-PCI-MSI" before; without the "IR-"
 * interrupts are not remapped. The IOMMU's own interrupt ("DMAR-MSI") never is.
 */
import { type Directory, directory, type File, textFile } from '../sysfs/node.ts'
import { PROCESSORS } from './processors.ts'

/** One interrupt with a handler. */
export interface InterruptLine {
  readonly number: number
  readonly chip: string
  /** Number of the line within its chip. */
  readonly hardwareNumber: number
  readonly flow: 'edge' | 'fasteoi'
  /** What handlers call themselves. */
  readonly actions: string
}

/** Digits of an interrupt number in the table: four for the thousands of numbers that x86 has. */
const NUMBER_WIDTH = 4
const COUNT_WIDTH = 10

/** @param lines by number */
export function interruptTable(lines: readonly InterruptLine[]): string {
  const processors = Array.from({ length: PROCESSORS }, (_, n) => n)
  const header = ' '.repeat(NUMBER_WIDTH + 8)
  const counts = processors.map(() => `${'0'.padStart(COUNT_WIDTH)} `).join('')
  const rows = lines.map(({ number, chip, hardwareNumber, flow, actions }) => {
    const name = `${String(number).padStart(NUMBER_WIDTH)}: ${counts} ${chip.padStart(8)}`
    const hardware = String(hardwareNumber).padStart(NUMBER_WIDTH)
    return `${name} ${hardware}-${flow.padEnd(8)}  ${actions}\n`
  })
  const others = ARCHITECTURE.map(
    ([name, text]) => `${name.padStart(NUMBER_WIDTH)}: ${counts}  ${text}\n`,
  )
  return [
    `${header}${processors.map((n) => `CPU${String(n).padEnd(8)}`).join('')}\n`,
    ...rows,
    ...others,
  ].join('')
}

/** Interrupts of the processor itself (arch/x86/kernel/irq.c, arch_show_interrupts), which have no chip. */
const ARCHITECTURE: readonly (readonly [name: string, text: string])[] = [
  ['NMI', 'Non-maskable interrupts'],
  ['LOC', 'Local timer interrupts'],
]

/** /sys/kernel/irq */
export function interruptDirectory(lines: () => readonly InterruptLine[]): Directory {
  return {
    kind: 'directory',
    list: () => lines().map(({ number }) => String(number)),
    find: (name) => {
      const line = lines().find(({ number }) => String(number) === name)
      return line === undefined ? undefined : descriptor(line)
    },
  }
}

function descriptor({ actions, chip, hardwareNumber, flow }: InterruptLine): Directory {
  const file = (text: string): (() => File) => {
    return () => textFile(() => `${text}\n`)
  }
  return directory({
    actions: file(actions.replaceAll(', ', ',')),
    chip_name: file(chip),
    hwirq: file(String(hardwareNumber)),
    name: file(flow),
    per_cpu_count: file(new Array<string>(PROCESSORS).fill('0').join(',')),
    type: file(flow === 'edge' ? 'edge' : 'level'),
    wakeup: file('disabled'),
  })
}
