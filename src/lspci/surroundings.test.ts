import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import { parseLspci } from './parse-lspci.ts'
import { readSurroundings, type Surroundings } from './surroundings.ts'
import { cleanLines } from './text-lines.ts'

function read(text: string): Surroundings {
  return readSurroundings(cleanLines(text))
}

describe('kernel release', () => {
  it.each([
    ['[    0.000000] Linux version 6.1.0-18-amd64 (debian@x) #1 SMP\n', '6.1.0-18-amd64'],
    ['Linux host 6.12.117+deb12-amd64 #1 SMP PREEMPT x86_64 GNU/Linux\n', '6.12.117+deb12-amd64'],
    ['$ uname -r\n5.15.13\n', '5.15.13'],
    ['Kernel: 6.5.0-14-generic x86_64\n', '6.5.0-14-generic'],
    ['Linux version 6.8.0-rc7+ (x)\n', '6.8.0-rc7+'],
  ])('is in %j', (text, release) => {
    expect(read(text).kernelRelease).toEqual(known(release))
  })

  it('is unknown in prose and without any sign', () => {
    expect(read('I use Linux 6.1 here. Version 2.0 of the card.\n').kernelRelease.known).toBe(false)
  })

  it('is unknown when the text names two', () => {
    const text = 'Linux version 6.1.0 (x)\nLinux version 6.2.0 (x)\n'
    expect(read(text).kernelRelease).toMatchObject({
      why: expect.stringContaining('"6.1.0" and "6.2.0"') as string,
    })
  })
})

describe('command line', () => {
  it('is the one that the kernel logs, twice the same', () => {
    const text =
      '[    0.000000] Command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 intel_iommu=on\n' +
      '[    0.040000] Kernel command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 intel_iommu=on\n'
    expect(read(text).commandLine).toEqual(
      known('BOOT_IMAGE=/vmlinuz root=/dev/sda1 intel_iommu=on'),
    )
  })

  it('is put together where a mail program wrapped it', () => {
    const text =
      '[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0 root=UUID=a\n' +
      'pcie_acs_override=downstream,multifunction quiet\n[    0.000000] x\n'
    expect(read(text).commandLine).toEqual(
      known(
        'BOOT_IMAGE=/boot/vmlinuz-6.1.0 root=UUID=a pcie_acs_override=downstream,multifunction quiet',
      ),
    )
  })
})

describe('groups in the kernel log', () => {
  const LOG =
    '[    0.4] pci 0000:00:00.0: Adding to iommu group 0\n' +
    '[    0.4] pci 0000:01:00.0: Adding to iommu group 1\n' +
    '[    0.4] platform AMDI0020:00: Adding to iommu group 2\n'

  it('are read in both spellings', () => {
    expect([...read(LOG).logged.values()].map(({ name, group }) => [name, group])).toEqual([
      ['0000:00:00.0', '0'],
      ['0000:01:00.0', '1'],
      ['AMDI0020:00', '2'],
    ])
    expect(
      read('iommu: Adding device 0000:00:02.0 to group 4\n').logged.get('0000:00:02.0'),
    ).toMatchObject({ group: '4' })
  })

  it('follow removals and begin anew with each boot', () => {
    expect(read(`${LOG}[ 9.1] pci 0000:01:00.0: Removing from iommu group 1\n`).logged.size).toBe(2)
    expect(read(`${LOG}[    0.0] Linux version 6.1.0 (x)\n`).logged.size).toBe(0)
  })

  const DEVICES = '00:00.0 Host bridge: X\n01:00.0 USB controller: Y\n02:00.0 USB controller: Z\n\n'

  it('become the groups of the host, with devices that are not PCI', () => {
    const host = parseLspci(DEVICES + LOG, { label: 'test' })
    expect(host.functions.map((fn) => fn.group)).toEqual([known('0'), known('1'), known(null)])
    expect(host.groups).toMatchObject(
      known([{ id: '0' }, { id: '1' }, { id: '2', members: ['AMDI0020:00'] }]),
    )
    expect(host.otherDevices).toMatchObject([
      { name: 'AMDI0020:00', bus: known('platform'), group: '2' },
    ])
  })

  it('leave the rest unknown when the log has gaps', () => {
    const gap = LOG.replace('group 0', 'group 7')
    const host = parseLspci(DEVICES + gap, { label: 'test' })
    expect(host.functions.map((fn) => fn.group.known)).toEqual([true, true, false])
  })

  it('give way to what lspci prints', () => {
    const text = `00:00.0 Host bridge: X\n\tFlags: fast devsel, IOMMU group 5\n\n${LOG}`
    const host = parseLspci(text, { label: 'test' })
    expect(host.functions[0]?.group).toEqual(known('5'))
    expect(host.otherDevices).toEqual([])
  })
})

describe('groups that lspci prints', () => {
  it('are null for a function without a line among functions with one', () => {
    const text =
      '00:00.0 Host bridge: X\n\tFlags: fast devsel\n\n00:01.0 Host bridge: Y\n\tFlags: fast, IOMMU group 3\n\n'
    expect(parseLspci(text, { label: 'test' }).functions.map((fn) => fn.group)).toEqual([
      known(null),
      known('3'),
    ])
  })

  it('come from one run only, since numbers change from boot to boot', () => {
    const run = (a: string, b: string): string =>
      `00:00.0 Host bridge: X\n\tFlags: fast${a}\n\n00:01.0 Host bridge: Y\n\tFlags: fast${b}\n\n`
    const text = run(', IOMMU group 1', ', IOMMU group 2') + run(', IOMMU group 9', '')
    expect(parseLspci(text, { label: 'test' }).functions.map((fn) => fn.group)).toEqual([
      known('1'),
      known('2'),
    ])
  })

  it('are not null because of a run that contradicts', () => {
    const usb = (at: string, more: string): string =>
      `${at} USB controller: X\n\tFlags: fast${more}\n\n`
    const text =
      usb('00:00.0', ', IOMMU group 1') +
      usb('00:01.0', ', IOMMU group 2') +
      usb('00:00.0', ', IOMMU group 9') +
      usb('00:02.0', '')
    const host = parseLspci(text, { label: 'test' })
    expect(host.functions.map((fn) => fn.group.known)).toEqual([true, true, false])
  })

  it('are put together from runs that agree', () => {
    const one = (at: string, group: string): string =>
      `${at} USB controller: X\n\tFlags: fast, IOMMU group ${group}\n\n`
    const text = one('02:00.0', '7') + one('01:00.0', '6') + one('01:00.0', '6')
    expect(parseLspci(text, { label: 'test' }).functions.map((fn) => fn.group)).toEqual([
      known('6'),
      known('7'),
    ])
  })

  it('are read from the headings of group listings', () => {
    const text = 'IOMMU Group 2:\n\t00:01.0 PCI bridge [0604]: X [8086:1901]\n\t01:00.0 VGA: Y\n'
    const host = parseLspci(text, { label: 'test' })
    expect(host.groups).toMatchObject(
      known([{ id: '2', members: ['0000:00:01.0', '0000:01:00.0'] }]),
    )
  })
})
