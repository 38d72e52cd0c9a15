import { describe, expect, it } from 'vitest'
import { READ } from '../domain.ts'
import { context, description, pciDevices } from '../tables/machine.case.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { IommuUnit } from '../unit.ts'
import { gartUnits } from './gart-unit.ts'

function gart(machine = context()): IommuUnit {
  const [unit] = gartUnits(machine, description('gart'))
  if (unit === undefined) throw new Error('no unit')
  return unit
}

describe('a GART', () => {
  it('translates inside its aperture and lets everything else pass, whoever asks', () => {
    const unit = gart()
    const domain = unit.createDomain('DMA')
    const { firstPage, lastPage } = domain.geometry
    expect(lastPage - firstPage + 1).toBe((64 * 2 ** 20) / 4096)
    domain.map(firstPage + 1, 77, 1, READ)
    for (const requester of [0x100, 0x200]) {
      expect(unit.hardware.translate(requester, firstPage + 1, true)).toBe(77)
      expect(unit.hardware.translate(requester, 5, true)).toBe(5)
      expect(unit.hardware.translate(requester, lastPage + 1, true)).toBe(lastPage + 1)
    }
    expect(unit.hardware.translate(0x100, firstPage, true)).toBe(-1)
    expect(unit.hardware.faults).toMatchObject([{ reason: 5, page: firstPage }])
    expect(domain.physicalPage(5)).toBe(5)
  })

  it('does not isolate: no groups, one context, plain interrupts', () => {
    const unit = gart()
    const [device] = pciDevices(1) as readonly [PciDevice]
    expect([unit.isolates, unit.isolatesInterrupts, unit.interrupts]).toEqual([
      false,
      false,
      undefined,
    ])
    expect(unit.createDomain('unmanaged')).toBe(unit.createDomain('DMA'))
    expect(unit.groupOf(device)).toBe(null)
    expect(unit.hardware.interrupt(0x100, 0xfee03000, 0x41)).toEqual({
      vector: 0x41,
      destination: 3,
    })
  })

  it('has entries of four bytes with the address in two places', () => {
    const machine = context()
    const unit = gart(machine)
    const domain = unit.createDomain('DMA')
    domain.map(domain.geometry.firstPage, 0xab12345, 1, READ)
    expect(machine.memory.word(1, 0)).toBe(0x12345ab3)
    expect(domain.tableBytes).toBe(64 * 1024)
    expect(() => domain.map(domain.geometry.firstPage + 1, 2 ** 28, 1, READ)).toThrow('EINVAL')
  })

  it('forgets what is unmapped', () => {
    const unit = gart()
    const domain = unit.createDomain('DMA')
    const { firstPage } = domain.geometry
    domain.map(firstPage, 8, 3, READ)
    expect(unit.hardware.translate(0, firstPage + 1, false)).toBe(9)
    expect(domain.unmap(firstPage, 2)).toBe(2)
    expect(unit.hardware.translate(0, firstPage + 1, false)).toBe(-1)
    expect(unit.hardware.translate(0, firstPage + 2, false)).toBe(10)
    domain.destroy()
    expect(unit.hardware.translate(0, firstPage + 2, false)).toBe(-1)
  })
})
