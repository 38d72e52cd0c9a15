import { describe, expect, it } from 'vitest'
import { deviceNames, nameIndex } from './pci-ids.ts'

const TEXT = `# a comment
1014  IBM
\t0002  PCI to MCA Bridge
8086  Intel Corporation
\t10d3  82574L Gigabit Network Connection
\t\t103c 3250  NC112T PCI Express single Port Gigabit Server Adapter
\t105f  82571EB Gigabit Ethernet Controller
\t1060  82571EB Gigabit Ethernet Controller
8087  Intel Corp.
\t10d4  Something
C 02  Network controller
\t00  Ethernet controller
\t80  Network controller
C 06  Bridge
\t04  PCI bridge
\t\t00  Normal decode
`

describe('deviceNames()', () => {
  const names = deviceNames(TEXT)

  it('joins vendor and device as lspci does', () => {
    expect(names.device(0x8086, 0x10d3)).toBe('Intel Corporation 82574L Gigabit Network Connection')
    expect(names.device(0x8086, 0xbeef)).toBe('Intel Corporation Device beef')
    expect(names.device(0xbeef, 0x0001)).toBeNull()
  })

  it("never takes the next vendor's device", () => {
    expect(names.device(0x8086, 0x10d4)).toBe('Intel Corporation Device 10d4')
  })

  it('names classes, by base class when the sub-class is unknown', () => {
    expect(names.className(0x0604)).toBe('PCI bridge')
    expect(names.className(0x06ff)).toBe('Bridge')
    expect(names.className(0x7700)).toBeNull()
    // 00 below 04 is a programming interface.
    expect(names.className(0x0600)).toBe('Bridge')
  })

  it('takes the first of two lines with one id, and no deeper line for one', () => {
    const twice = deviceNames(
      '1111  A\n\t0001  a\n\t\t0002 0003  deep\n\t0001  b\n1111  B\n\t0002  c\n',
    )
    expect(twice.device(0x1111, 1)).toBe('A a')
    expect(twice.device(0x1111, 2)).toBe('A Device 0002')
  })

  it('reads a file whose last line has no end, and lines of Windows', () => {
    expect(deviceNames('1111  A\n\t0001  a').device(0x1111, 1)).toBe('A a')
    expect(deviceNames('1111  A\r\n\t0001  a\r\n').device(0x1111, 1)).toBe('A a')
  })

  it('an empty file knows nothing', () => {
    expect(deviceNames('').device(0x8086, 0x10d3)).toBeNull()
  })
})

describe('nameIndex()', () => {
  const index = nameIndex(TEXT)

  it('finds ids by name where one device bears it', () => {
    expect(index.resolve('Intel Corporation 82574L Gigabit Network Connection')).toEqual({
      vendor: 0x8086,
      device: 0x10d3,
    })
  })

  it('finds a device by its full name where two vendors share theirs', () => {
    const twice = nameIndex('1969  Atheros\n\t0001  A1\n168c  Atheros\n\t0002  A2\n\t0001  B\n')
    expect(twice.resolve('Atheros A2')).toEqual({ vendor: 0x168c, device: 2 })
    expect(twice.resolve('Atheros Z')).toBeNull()
    const same = nameIndex('1969  Atheros\n\t0001  A\n168c  Atheros\n\t0002  A\n')
    expect(same.resolve('Atheros A')).toBeNull()
  })

  it('is sure of the vendor alone where two devices bear the name, or none', () => {
    const vendor = { vendor: 0x8086, device: null }
    expect(index.resolve('Intel Corporation 82571EB Gigabit Ethernet Controller')).toEqual(vendor)
    expect(index.resolve('Intel Corporation Unheard')).toEqual(vendor)
    expect(index.resolve('Unheard Inc.')).toBeNull()
  })

  it('finds classes by name, sub-classes before base classes', () => {
    expect(index.classCode('PCI bridge')).toBe(0x0604)
    expect(index.classCode('Network controller')).toBe(0x0280)
    expect(index.classCode('Bridge')).toBe(0x0600)
    expect(index.classCode('constructor')).toBeNull()
  })
})
