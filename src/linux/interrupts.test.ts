import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import { recordedKernel } from '../kernel/recorded.ts'
import { emptyRecording } from '../kernel/recording.ts'
import { parseInterrupts, readInterruptChips } from './interrupts.ts'

describe('parseInterrupts()', () => {
  it('reads old and new chip names and leaves out those of the IOMMU', () => {
    const text = [
      '            CPU0',
      '   0:         38   IO-APIC    2-edge      timer',
      '  24:          0   DMAR-MSI    0-edge      dmar0',
      '  25:          0   PCI-MSI 4096-edge      AMD-Vi',
      '  26:          0   PCI-MSI-0000:00:00.2   0-edge      AMD-Vi0-Evt',
      '  27:          0   IR-PCI-MSI 524288-edge nvme0q0',
      '  28:          0   IR-PCI-MSIX-0000:01:00.0   0-edge      eth0-TxRx-0',
      ' LOC:       5000   Local timer interrupts',
    ].join('\n')
    expect(parseInterrupts(text)).toEqual(['IO-APIC', 'IR-PCI-MSI', 'IR-PCI-MSIX-0000:01:00.0'])
    expect(parseInterrupts('')).toEqual([])
  })

  it('steps over as many counts as the first line names processors', () => {
    const line = (cpus: number): string =>
      `  30: ${'7 '.repeat(cpus)} GICv3  27 Level     arch_timer`
    const header = (cpus: number): string =>
      Array.from({ length: cpus }, (_, n) => `CPU${String(n)}`).join(' ')
    for (const cpus of [1, 2, 8, 300]) {
      expect(parseInterrupts(`${header(cpus)}\n${line(cpus)}\n`)).toEqual(['GICv3'])
    }
  })

  it('agrees with splitting every line into words, whatever the text', () => {
    const word = fc.constantFrom(
      'CPU0',
      'CPU1',
      '12:',
      'NMI:',
      '0',
      'PCI-MSI',
      'AMD-Vi',
      '\t',
      '\n',
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), (words) => {
        const text = words.join(' ')
        expect(parseInterrupts(text)).toEqual(bySplitting(text))
      }),
    )
  })
})

function bySplitting(text: string): string[] {
  const [header = '', ...lines] = text.split('\n')
  const cpus = header.split(/\s+/).filter((word) => /^CPU\d+$/.test(word)).length
  const chips = new Set<string>()
  for (const line of lines) {
    const words = line.trim().split(/\s+/)
    const chip = words[1 + cpus]
    if (!/^\d+:$/.test(words[0] ?? '') || chip === undefined) continue
    if (chip !== 'DMAR-MSI' && !words.slice(2 + cpus).some((one) => one.startsWith('AMD-Vi')))
      chips.add(chip)
  }
  return [...chips].sort()
}

describe('readInterruptChips()', () => {
  it('asks the descriptors where /proc/interrupts is missing, and leaves out the IOMMU there too', () => {
    const recording = emptyRecording()
    recording.text['/proc/interrupts'] = { error: 'ENOENT' }
    recording.list['/sys/kernel/irq'] = ['9', '25', '26']
    const descriptors = {
      '9': ['IO-APIC', 'acpi'],
      '25': ['PCI-MSI', 'AMD-Vi'],
      '26': ['IR-PCI-MSI', ''],
    }
    for (const [irq, [chip = '', action = '']] of Object.entries(descriptors)) {
      recording.text[`/sys/kernel/irq/${irq}/chip_name`] = `${chip}\n`
      recording.text[`/sys/kernel/irq/${irq}/actions`] = `${action}\n`
    }
    expect(readInterruptChips(recordedKernel(recording))).toEqual(known(['IO-APIC', 'IR-PCI-MSI']))
  })

  it('is unknown where neither can be read', () => {
    const recording = emptyRecording()
    recording.text['/proc/interrupts'] = { error: 'EACCES' }
    recording.list['/sys/kernel/irq'] = { error: 'ENOENT' }
    expect(readInterruptChips(recordedKernel(recording))).toMatchObject({ known: false })
  })
})
