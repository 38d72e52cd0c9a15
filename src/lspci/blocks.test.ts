import { describe, expect, it } from 'vitest'
import { type Block, readBlocks } from './blocks.ts'
import { cleanLines } from './text-lines.ts'

function blocks(text: string): readonly Block[] {
  return readBlocks(cleanLines(text))
}

describe('readBlocks', () => {
  it('joins lines that a mail program wrapped, whatever their indentation', () => {
    const [block] = blocks(
      '00:1c.0 PCI bridge: Intel Corporation Cannon Point-LP PCI Express\n' +
        'Root Port #1 (rev f0)\n(prog-if 00 [Normal decode])\n' +
        'ACSCap: SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+\nEgressCtrl- DirectTrans-\n\n',
    )
    expect(block?.header).toBe(
      'PCI bridge: Intel Corporation Cannon Point-LP PCI Express Root Port #1 (rev f0) ' +
        '(prog-if 00 [Normal decode])',
    )
    expect(block?.lines).toEqual([
      'ACSCap: SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-',
    ])
  })

  it('does not make prose below a short listing part of a name', () => {
    expect(blocks('00:1f.0 ISA bridge: Intel Corporation LPC\nThis one fails.\n')[0]?.header).toBe(
      'ISA bridge: Intel Corporation LPC',
    )
  })

  it('joins short pieces of a device line when details follow', () => {
    expect(blocks('00:1f.0 ISA bridge:\nIntel\nLPC\nSubsystem: x\n')[0]?.header).toBe(
      'ISA bridge: Intel LPC',
    )
  })

  it('ends a block at an empty line and takes nothing of what follows', () => {
    const [block] = blocks('00:1f.0 ISA bridge: X\nFlags: fast\n\nKernel driver in use: wrong\n')
    expect(block?.lines).toEqual(['Flags: fast'])
    expect(block?.whole).toBe(true)
  })

  it.each(['[    1.000000] pci: log', 'me@host:~$ uname -a', '-[0000:00]-+-00.0'])(
    'ends a block at "%s"',
    (text) => {
      const [block] = blocks(
        `00:1f.0 ISA bridge: X\nFlags: fast\n${text}\nKernel driver in use: no\n`,
      )
      expect(block?.lines).toEqual(['Flags: fast'])
    },
  )

  it('does not trust the last line of a text without its line end', () => {
    const [block] = blocks('00:1f.0 ISA bridge: X\nFlags: fast\nIOMMU group: 1')
    expect(block?.lines).toEqual(['Flags: fast'])
    expect(block?.whole).toBe(false)
    expect(blocks('00:1f.0 ISA bridge: X')[0]?.headerCut).toBe(true)
  })

  it('says that a block is not whole where the text leaves something out', () => {
    const [block] = blocks(
      '00:1f.0 ISA bridge: X\nFlags: fast\n[...]\nKernel driver in use: no\n\n',
    )
    expect(block).toMatchObject({ whole: false, lines: ['Flags: fast'] })
    expect(block?.gapAfter).toContain('leaves something out')
  })

  it('does not trust a device line below which something was left out', () => {
    expect(blocks('00:1f.0 ISA bridge: X Y\n[...]\n')[0]?.headerCut).toBe(true)
  })

  it('notices details of a device whose own line is missing', () => {
    const text = '00:1f.0 ISA bridge: X\nControl: I/O+ a\nCapabilities: [40] x\n'
    expect(blocks(`${text}\nSubsystem: Dell\nControl: I/O+ b\n\n`)[0]?.gapAfter).toContain(
      'missing',
    )
    const [block] = blocks(`${text}Control: I/O+ b\nCapabilities: [40] y\n\n`)
    expect(block?.lines).toEqual(['Control: I/O+ a', 'Capabilities: [40] x'])
    expect(block?.gapAfter).toContain('missing')
  })

  it('collects a hex dump and stops at a gap', () => {
    const row = '00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff'
    expect(
      blocks(`00:1f.0 ISA bridge: X\n00: ${row}\n10: ${row}\n30: ${row}\n`)[0]?.hex.length,
    ).toBe(32)
  })

  it('puts the heading of a group listing on the devices below it and no others', () => {
    const found = blocks(
      'IOMMU Group 3:\n\t00:1f.0 ISA bridge: X\n\t00:1f.3 Audio device: Y\n' +
        'IOMMU Group 4 01:00.0 VGA compatible controller: Z\n\n02:00.0 USB controller: U\n',
    )
    expect(found.map((block) => block.heading)).toEqual(['3', '3', '4', null])
  })

  it('counts runs of lspci by devices that come again', () => {
    const text = '00:00.0 Host bridge: X\n00:1f.0 ISA bridge: Y\n'
    expect(blocks(text + text).map((block) => block.run)).toEqual([0, 0, 1, 1])
  })

  it('counts one device printed twice as two runs', () => {
    expect(blocks('00:1f.0 ISA bridge: Y\n'.repeat(2)).map((block) => block.run)).toEqual([0, 1])
  })

  it('counts a device that comes before the last as a new run, but not in group listings', () => {
    const second = '00:1f.0 ISA bridge: Y\n'
    const first = '00:00.0 Host bridge: X\n'
    expect(blocks(second + first).map((block) => block.run)).toEqual([0, 1])
    const listed = `IOMMU Group 1:\n${second}IOMMU Group 2:\n${first}`
    expect(blocks(listed).map((block) => block.run)).toEqual([0, 0])
  })

  it('rewrites records of lspci -vmm', () => {
    const [block] = blocks(
      'Slot:\t01:00.0\nClass:\tVGA compatible controller [0300]\nVendor:\tNVIDIA [10de]\n' +
        'Device:\tGP104 [1b80]\nSVendor:\tZ [19da]\nSDevice:\tD [1451]\nRev:\ta1\n' +
        'Driver:\tnouveau\nIOMMUGroup:\t13\n\n',
    )
    expect(block?.header).toBe(
      '"VGA compatible controller [0300]" "NVIDIA [10de]" "GP104 [1b80]" -ra1 "Z [19da]" "D [1451]"',
    )
    expect(block?.lines).toEqual(['IOMMU group: 13', 'Kernel driver in use: nouveau'])
  })
})
