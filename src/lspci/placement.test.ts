import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import type { HostSnapshot, PciFunction } from '../isolation/host.ts'
import { parseLspci } from './parse-lspci.ts'

const V = '\tFlags: bus master, fast devsel\n'

function port(at: string, buses: string): string {
  const [primary = '', secondary = '', subordinate = ''] = buses.split('-')
  const line = `primary=${primary}, secondary=${secondary}, subordinate=${subordinate}, sec-latency=0`
  return `${at} PCI bridge [0604]: Intel P [8086:1234] (prog-if 00 [Normal decode])\n${V}\tBus: ${line}\n\n`
}

function endpoint(at: string, more = '', name = 'Intel E [8086:1521]'): string {
  return `${at} Ethernet controller [0200]: ${name}\n${V}${more}\n`
}

const EXPRESS = '\tCapabilities: [40] Express (v2) Endpoint, MSI 00\n'

function sriov(vfs: number, offset: number, stride: number): string {
  return (
    `${EXPRESS}\tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)\n` +
    `\t\tIOVCtl:\tEnable+ Migration-\n\t\tInitial VFs: 64, Total VFs: 64, Number of VFs: ${String(vfs)}, x\n` +
    `\t\tVF offset: ${String(offset)}, stride: ${String(stride)}, Device ID: 1520\n`
  )
}

function parse(text: string): HostSnapshot {
  return parseLspci(text, { label: 'test' })
}

function at(text: string, address: string): PciFunction | undefined {
  return parse(text).functions.find((fn) => fn.address === address)
}

describe('the bridge above', () => {
  it('is the one whose secondary bus it is, also of a nested bus', () => {
    const text = port('00:01.0', '00-01-04') + port('01:00.0', '01-02-04') + endpoint('02:00.0')
    expect(at(text, '0000:02:00.0')?.parent).toBe('0000:01:00.0')
    expect(at(text, '0000:01:00.0')?.parent).toBe('0000:00:01.0')
  })

  it('is none for a second root bus', () => {
    const text = port('00:01.0', '00-01-04') + endpoint('20:00.0')
    expect(at(text, '0000:20:00.0')?.parent).toBeNull()
    expect(at(text, '0000:20:00.0')?.config.damage).toEqual([])
  })

  it('is looked for in the same domain only', () => {
    const text = port('0001:00:01.0', '00-01-04') + endpoint('0000:01:00.0')
    expect(at(text, '0000:01:00.0')?.parent).toBeNull()
  })

  it('is not a bridge that nothing was assigned to', () => {
    const text = port('00:01.0', '00-00-00') + endpoint('00:02.0')
    expect(at(text, '0000:00:02.0')?.parent).toBeNull()
  })

  it('is the one whose primary bus is its own where two claim the bus', () => {
    const text = port('00:01.0', '07-01-01') + port('00:02.0', '00-01-01') + endpoint('01:00.0')
    expect(at(text, '0000:01:00.0')?.parent).toBe('0000:00:02.0')
  })

  it('is the closest one whose range holds the bus where its own is missing, and that is said', () => {
    const text = port('00:01.0', '00-01-08') + port('01:00.0', '01-02-06') + endpoint('05:00.0')
    const fn = at(text, '0000:05:00.0')
    expect(fn?.parent).toBe('0000:01:00.0')
    expect(fn?.config.damage.join()).toContain('taken as behind 0000:01:00.0')
  })

  it('is said to be missing where a listing prints no bus numbers', () => {
    const text =
      '00:1c.0 PCI bridge [0604]: P [8086:1]\n01:00.0 USB controller [0c03]: U [8086:1234]\n'
    expect(at(text, '0000:01:00.0')?.config.damage.join()).toContain('taken as a root bus')
  })

  it('is said to be missing above a device that needs a port', () => {
    expect(at(endpoint('05:00.0', EXPRESS), '0000:05:00.0')?.config.damage.join()).toContain(
      'taken as a root bus',
    )
  })
})

describe('virtual functions', () => {
  it('are found by offset and stride, also on a bus of their own', () => {
    const text =
      port('00:01.0', '00-01-02') +
      endpoint('01:00.0', sriov(2, 256, 2)) +
      endpoint('02:00.0', EXPRESS) +
      endpoint('02:00.1', EXPRESS) +
      endpoint('02:00.2', EXPRESS)
    const first = at(text, '0000:02:00.0')
    expect(first?.physicalFunction).toEqual(known('0000:01:00.0'))
    expect(first?.parent).toBe('0000:00:01.0')
    expect(first?.config.damage).toEqual([])
    expect(at(text, '0000:02:00.2')?.physicalFunction).toEqual(known('0000:01:00.0'))
    expect(at(text, '0000:02:00.1')?.physicalFunction).toEqual(known(null))
  })

  it('do not make their slot multifunction', () => {
    const text = endpoint('01:00.0', sriov(1, 1, 1)) + endpoint('01:00.1', EXPRESS)
    expect(at(text, '0000:01:00.0')?.config.multifunction).toEqual(known(false))
  })

  it('are not assumed while the numbers are not printed', () => {
    const listed = `${EXPRESS}\tCapabilities: [160] Single Root I/O Virtualization (SR-IOV)\n`
    const text =
      endpoint('01:00.0', listed) +
      endpoint('01:10.0', EXPRESS, 'Intel X Virtual Function [8086:1520]')
    expect(at(text, '0000:01:10.0')?.physicalFunction.known).toBe(false)
    const nameless = endpoint('01:00.0', listed) + endpoint('01:00.1', listed) + endpoint('01:10.0')
    expect(at(nameless, '0000:01:10.0')?.physicalFunction.known).toBe(false)
    expect(at(nameless, '0000:01:00.1')?.physicalFunction).toEqual(known(null))
  })

  it('end where the numbers are absurd', () => {
    let text = ''
    for (let slot = 0; slot < 32; slot += 1) {
      text += endpoint(`01:${slot.toString(16).padStart(2, '0')}.0`, sriov(65535, 60000, 0))
    }
    expect(parse(text).functions).toHaveLength(32)
  })
})

describe('the multifunction bit', () => {
  it('is unknown for the last function of a text that may be cut', () => {
    expect(at(`00:1f.0 ISA bridge: X\n${V}`, '0000:00:1f.0')?.config.multifunction.known).toBe(
      false,
    )
    expect(at(`00:1f.0 ISA bridge: X\n${V}\n`, '0000:00:1f.0')?.config.multifunction).toEqual(
      known(false),
    )
  })

  it('is unknown before a gap in the text', () => {
    const text = `${endpoint('00:1f.0')}\tSubsystem: Dell Device 08b0\n\n${endpoint('01:00.0')}`
    const fn = at(text, '0000:00:1f.0')
    expect(fn?.config.multifunction.known).toBe(false)
    expect(fn?.config.damage.join()).toContain('own line is missing')
  })

  it('is unknown for a function other than 0 that stands alone', () => {
    expect(at(endpoint('00:1d.7'), '0000:00:1d.7')?.config.multifunction.known).toBe(false)
  })
})

describe('Intel VMD', () => {
  const VMD = endpoint('0000:00:0e.0', '', 'Intel V [8086:9a0b]')
  const CHILDREN = port('10000:e0:06.0', 'e0-e1-e1') + endpoint('10000:e1:00.0', EXPRESS)

  it('issues the DMA of the root buses of its domain', () => {
    expect(parse(VMD + CHILDREN).hostedBuses).toEqual([{ bus: '10000:e0', host: '0000:00:0e.0' }])
  })

  it('is found by name where there are no ids', () => {
    const named =
      '00:0e.0 RAID bus controller: Intel Corporation Volume Management Device NVMe RAID Controller\n'
    expect(parse(named + CHILDREN).hostedBuses).toHaveLength(1)
  })

  it('is left open when there are two of them, or none', () => {
    const second = endpoint('0000:80:0e.0', '', 'Intel V [8086:9a0b]')
    expect(parse(VMD + second + CHILDREN).hostedBuses).toEqual([])
    expect(parse(CHILDREN).hostedBuses).toEqual([])
  })
})
