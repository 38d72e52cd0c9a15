import { describe, expect, it } from 'vitest'
import { plainMessage } from '../../hardware/interrupt-message.ts'
import { context, description, pciDevice, pciDevices } from '../tables/machine.case.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { InterruptMessages, IommuUnit } from '../unit.ts'
import type { UnitContext } from '../unit-context.ts'
import { vtdUnits } from './vtd-unit.ts'

function remapping(
  machine: UnitContext = context(),
  ecap = 'f00f4a',
): { unit: IommuUnit; messages: InterruptMessages } {
  const units = [{ name: 'dmar0', attributes: { cap: 'd2008c22260286', ecap }, scope: null }]
  const [unit] = vtdUnits(machine, description('intel', { units }))
  if (unit?.interrupts === undefined) throw new Error('no interrupt remapping')
  return { unit, messages: unit.interrupts }
}

/** Where the table is: at the first free boundary of 2 MiB. */
const TABLE = 512
const IRQ = { vector: 0x41, destination: 3 }

describe('interrupt remapping of VT-d', () => {
  it('delivers what a device was given a message for, from that device alone', () => {
    const { unit, messages } = remapping()
    const [a] = pciDevices(1) as readonly [PciDevice]
    const [message] = messages.allocate(a, [IRQ])
    if (message === undefined) throw new Error('no message')
    // Handle 0: format bit and sub-handle bit.
    expect(message).toEqual({ address: 0xfee00018, data: 0 })
    expect(unit.isolatesInterrupts).toBe(true)
    expect(unit.hardware.interrupt(0x100, message.address, message.data)).toEqual(IRQ)
    expect(unit.hardware.interrupt(0x200, message.address, message.data)).toBe(null)
    expect(unit.hardware.faults[0]).toMatchObject({ requester: 0x200, reason: 0x26 })
  })

  it('blocks plain messages, which would forge any vector', () => {
    const { unit } = remapping()
    const { address, data } = plainMessage({ vector: 0x30, destination: 1 })
    expect(unit.hardware.interrupt(0x100, address, data)).toBe(null)
    expect(unit.hardware.faults[0]?.reason).toBe(0x25)
  })

  it('writes entries as the specification has them', () => {
    const machine = context()
    const { messages } = remapping(machine)
    const [a] = pciDevices(1) as readonly [PciDevice]
    messages.allocate(a, [IRQ])
    const table = machine.memory.words(TABLE)
    expect([...table.slice(0, 4)]).toEqual([0x410009, 0x300, 0x40100, 0])
    const wide = context()
    remapping(wide, 'f050da').messages.allocate(a, [IRQ])
    expect(wide.memory.word(TABLE, 1)).toBe(3)
  })

  it('gives multi-vector MSI a block that differs in the data only', () => {
    const { unit, messages } = remapping()
    const [a, b] = pciDevices(2) as readonly [PciDevice, PciDevice]
    messages.allocate(a, [IRQ])
    const block = messages.allocate(
      b,
      [0, 1, 2].map((n) => ({ vector: 0x50 + n, destination: 0 })),
    )
    expect(block.map(({ data }) => data)).toEqual([0, 1, 2])
    expect(new Set(block.map(({ address }) => address)).size).toBe(1)
    for (const [n, { address, data }] of block.entries()) {
      expect(unit.hardware.interrupt(0x200, address, data)?.vector).toBe(0x50 + n)
    }
    expect(unit.hardware.interrupt(0x200, block[0]?.address ?? 0, 3)).toBe(null)
    expect(unit.hardware.faults[0]?.reason).toBe(0x22)
  })

  it('blocks messages that were given back, and gives their place to the next', () => {
    const { unit, messages } = remapping()
    const [a, b] = pciDevices(2) as readonly [PciDevice, PciDevice]
    const first = messages.allocate(a, [IRQ])
    const [{ address, data } = { address: 0, data: 0 }] = first
    messages.free(a, first)
    expect(unit.hardware.interrupt(0x100, address, data)).toBe(null)
    expect(unit.hardware.faults[0]?.reason).toBe(0x22)
    expect(messages.allocate(b, [IRQ])).toEqual(first)
    expect(unit.hardware.interrupt(0x200, address, data)).toEqual(IRQ)
  })

  it('has 65536 entries, the upper half behind bit 2 of the address', () => {
    const { unit, messages } = remapping()
    const [a] = pciDevices(1) as readonly [PciDevice]
    const block = (count: number) =>
      messages.allocate(
        a,
        Array.from({ length: count }, () => IRQ),
      )
    block(32768)
    const [upper = { address: 0, data: 0 }] = block(32768)
    expect(upper.address).toBe(0xfee0001c)
    expect(unit.hardware.interrupt(0x100, upper.address, 5)).toEqual(IRQ)
    expect(() => block(1)).toThrow('ENOSPC')
    expect(unit.hardware.interrupt(0x100, 0xfeefffff, 1)).toBe(null)
    expect(unit.hardware.faults[0]?.reason).toBe(0x21)
  })

  it('can check only the bus of what comes through a PCIe-to-PCI bridge', () => {
    const { unit, messages } = remapping()
    const port = pciDevice('0000:00:04.0', { pcieType: 4, headerType: 1 })
    const bridge = pciDevice('0000:07:00.0', { below: port, pcieType: 7, headerType: 1 })
    const device = pciDevice('0000:08:01.0', { below: bridge, pcieType: null })
    const [{ address, data } = { address: 0, data: 0 }] = messages.allocate(device, [IRQ])
    expect(unit.hardware.interrupt(0x800, address, data)).toEqual(IRQ)
    expect(unit.hardware.interrupt(0x8ff, address, data)).toEqual(IRQ)
    expect(unit.hardware.interrupt(0x700, address, data)).toBe(null)
    expect(unit.hardware.interrupt(0x900, address, data)).toBe(null)
  })

  it('checks the id of a conventional bridge, and the bus of a device with aliases', () => {
    const { unit, messages } = remapping()
    const bridge = pciDevice('0000:00:1e.0', { pcieType: null, headerType: 1 })
    const behind = pciDevice('0000:01:04.0', { below: bridge, pcieType: null })
    const [one = { address: 0, data: 0 }] = messages.allocate(behind, [IRQ])
    expect(unit.hardware.interrupt(0x0f0, one.address, one.data)).toEqual(IRQ)
    expect(unit.hardware.interrupt(0x120, one.address, one.data)).toBe(null)
    const [aliased] = pciDevices(1) as readonly [PciDevice]
    aliased.dmaAliases.add(1)
    const [two = { address: 0, data: 0 }] = messages.allocate(aliased, [IRQ])
    expect(unit.hardware.interrupt(0x107, two.address, two.data)).toEqual(IRQ)
    expect(unit.hardware.interrupt(0x207, two.address, two.data)).toBe(null)
  })

  it('follows source qualifiers and reserved bits of any entry', () => {
    const machine = context()
    const { unit } = remapping(machine)
    const tryWith = (source: number, requester: number, low = 0x410001): unknown => {
      machine.memory.setWord(TABLE, 0, low)
      machine.memory.setWord(TABLE, 2, source)
      unit.hardware.clearFaults()
      return (
        unit.hardware.interrupt(requester, 0xfee00010, 0)?.vector ?? unit.hardware.faults[0]?.reason
      )
    }
    expect(tryWith(0, 0xabcd)).toBe(0x41)
    expect(tryWith(0x50100, 0x104)).toBe(0x41)
    expect(tryWith(0x50100, 0x102)).toBe(0x26)
    expect(tryWith(0x60100, 0x106)).toBe(0x41)
    expect(tryWith(0x60100, 0x101)).toBe(0x26)
    expect(tryWith(0x70100, 0x107)).toBe(0x41)
    expect(tryWith(0x70100, 0x108)).toBe(0x26)
    expect(tryWith(0xc0100, 0x100)).toBe(0x26)
    expect(tryWith(0x100000, 0x100)).toBe(0x24)
    expect(tryWith(0, 0x100, 0x418001)).toBe(0x24)
  })

  it('passes plain messages when any unit or the kernel does without remapping', () => {
    const attributes = { cap: 'd2008c22260286', ecap: 'f00f4a' }
    const lacking = { ...attributes, ecap: 'f42' }
    const off = description('intel', {
      interruptRemapping: false,
      units: [{ name: 'dmar0', attributes, scope: null }],
    })
    const mixed = description('intel', {
      units: [
        { name: 'dmar0', attributes, scope: [] },
        { name: 'dmar1', attributes: lacking, scope: null },
      ],
    })
    for (const machine of [off, mixed]) {
      const [unit] = vtdUnits(context(), machine)
      expect(unit?.isolatesInterrupts).toBe(false)
      expect(unit?.interrupts).toBe(undefined)
      const { address, data } = plainMessage(IRQ)
      expect(unit?.hardware.interrupt(0x100, address, data)).toEqual(IRQ)
    }
  })
})
