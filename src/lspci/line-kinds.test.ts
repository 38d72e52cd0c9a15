import { describe, expect, it } from 'vitest'
import {
  deviceLine,
  groupHeading,
  hexLine,
  isForeign,
  isLabelled,
  isOmission,
  recordStart,
} from './line-kinds.ts'

describe('deviceLine', () => {
  it.each([
    ['00:1f.0 ISA bridge: Intel Corporation X (rev 11)', 0, 0],
    ['0000:03:00.1 Audio device [0403]: NVIDIA [10de:10fa]', 0, 3],
    ['10000:e0:06.0 PCI bridge: Intel Corporation X', 0x10000, 0xe0],
    ['00:1f.0 0601: 8086:9d4e (rev 21)', 0, 0],
    ['00:1f.0 Class 0601: 8086:9d4e', 0, 0],
    ['0A:00.0 3D controller: NVIDIA', 0, 10],
    ['00:1f.0 "ISA bridge" "Intel" "X"', 0, 0],
    ['58:00.0 Unassigned class [ff00]: Realtek', 0, 0x58],
    ['00:1c.0 Serial bus controller [0c80]:', 0, 0],
  ])('takes %s', (text, domain, bus) => {
    expect(deviceLine(text)?.at).toMatchObject({ domain, bus })
  })

  it.each([
    'pci 0000:00:1c.0: PCI bridge to [bus 01]',
    '0000:00:1f.3 snd_hda_intel',
    '00:1c.0: enabled',
    '01:00.0 is the graphics card: it fails',
    '12:34:56.7 Note: a time',
    '00:45.0 Host bridge: no such slot',
    '00:1f.8 Host bridge: no such function',
  ])('refuses %s', (text) => {
    expect(deviceLine(text)).toBeNull()
  })
})

describe('groupHeading', () => {
  it('takes the headings of the usual shell loops', () => {
    expect(groupHeading('IOMMU Group 07:')).toEqual({ group: '7', rest: '' })
    expect(groupHeading('IOMMU Group 7 00:1f.0 ISA bridge')?.rest).toBe('00:1f.0 ISA bridge')
  })

  it("does not take lspci's own line", () => {
    expect(groupHeading('IOMMU group: 7')).toBeNull()
  })
})

describe('hexLine', () => {
  it('takes two and three digits of offset, and short last lines', () => {
    expect(hexLine(`f0: ${'00 '.repeat(16).trim()}`)?.offset).toBe(0xf0)
    expect(hexLine('ff0: 01 02 ff')).toEqual({ offset: 0xff0, bytes: [1, 2, 255] })
  })

  it('refuses offsets that are no multiple of 16, and other text', () => {
    expect(hexLine('0f: 00')).toBeNull()
    expect(hexLine('00: -- --')).toBeNull()
    expect(hexLine(`00: ${'00 '.repeat(17).trim()}`)).toBeNull()
  })
})

describe('the other kinds', () => {
  it.each([
    '[    0.412345] pci 0000:01:00.0: Adding to iommu group 9',
    'user@host:~$ lspci -vv',
    '[root@host tmp]# dmesg',
    '# lspci',
    '-[0000:00]-+-00.0',
    '|           +-01.0-[01]----00.0',
    '+-1c.0-[02]--',
  ])('"%s" ends the details of a device', (text) => {
    expect(isForeign(text)).toBe(true)
  })

  it.each(['Subsystem: Dell', 'IOMMU group: 4', 'ACSCtl: SrcValid+', 'Bus: primary=00'])(
    '"%s" begins a detail line',
    (text) => {
      expect(isLabelled(text)).toBe(true)
      expect(isForeign(text)).toBe(false)
    },
  )

  it.each(['UpstreamFwd+ EgressCtrl-', 'ExtTag+ RBE+ FLReset+', 'Subsystem (rev 08)'])(
    '"%s" continues the line before',
    (text) => {
      expect(isLabelled(text)).toBe(false)
    },
  )

  it('knows the marks for something left out', () => {
    expect(['[...]', '[snip]', '<snip>', '...'].every(isOmission)).toBe(true)
  })

  it('knows the beginning of a -vmm record of old and new versions', () => {
    expect(recordStart('Slot: 0000:01:00.0')?.bus).toBe(1)
    expect(recordStart('Device: 01:00.0')?.bus).toBe(1)
    expect(recordStart('Device: I350')).toBeNull()
  })
})
