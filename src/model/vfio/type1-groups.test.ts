import { describe, expect, it } from 'vitest'
import { READ, WRITE } from '../iommu/domain.ts'
import { domainOf, opened } from './containers.case.ts'
import { bind, EDU, errnoOf, NIC, NVME, Program, testMachine } from './machine.case.ts'
import { REQUEST } from './vfio-abi.ts'

describe('merging groups in one container', () => {
  it('makes them share one address space, and one set of tables', () => {
    const machine = testMachine()
    for (const address of [NIC, EDU, NVME]) bind(machine, address)
    const program = new Program(machine)
    const alone = machine.context.memory.usedPages
    const { container, groups } = program.container([NIC])
    const memory = program.memory(16)
    program.map(container, memory.address, 0, 16)
    const one = machine.context.memory.usedPages - alone
    for (const address of [EDU, NVME]) program.setContainer(program.group(address), container)
    expect(domainOf(machine, EDU)).toBe(domainOf(machine, NIC))
    expect(domainOf(machine, NVME)).toBe(domainOf(machine, NIC))
    expect(machine.context.memory.usedPages - alone).toBe(one)
    program.map(container, memory.address, 0x100000, 1)
    expect(program.process.memory.lockedPages).toBe(17)
    // One leaves: what it had is gone for it, and stays for the others.
    program.ioctl(groups[0] ?? -1, REQUEST.groupUnsetContainer)
    expect(machine.iommu.groups.get(3)?.domain?.type).toBe('DMA-FQ')
    expect(domainOf(machine, EDU).physicalPage(0x100)).not.toBe(-1)
    program.exit()
    expect(machine.context.memory.usedPages).toBe(alone)
  })

  const withoutSnoop = { cap: 'd2008c22260206', ecap: 'f00f4a' }
  const withSnoop = { cap: 'd2008c22260206', ecap: 'f00fda' }
  const noLargePages = { cap: 'd2008022260206', ecap: 'f00f4a' }

  it('keeps a second address space, with all mappings repeated, where units do not agree', () => {
    for (const units of [
      [withSnoop, withoutSnoop],
      [noLargePages, withoutSnoop],
    ]) {
      const machine = testMachine({ units })
      bind(machine, NIC)
      bind(machine, EDU)
      const program = new Program(machine)
      const { container } = program.container([NIC])
      const memory = program.memory(4)
      program.map(container, memory.address, 0x3000, 4)
      program.setContainer(program.group(EDU), container)
      const [nic, edu] = [domainOf(machine, NIC), domainOf(machine, EDU)]
      expect(edu).not.toBe(nic)
      for (const page of [3, 4, 5, 6]) expect(edu.physicalPage(page)).toBe(nic.physicalPage(page))
      program.map(container, memory.address, 0x10000, 1)
      expect(edu.physicalPage(0x10)).toBe(nic.physicalPage(0x10))
      expect(program.process.memory.lockedPages).toBe(5)
      program.unmap(container, 0x3000, 0x4000)
      expect([edu.physicalPage(4), nic.physicalPage(4)]).toEqual([-1, -1])
      program.exit()
      expect(program.process.memory.lockedPages).toBe(0)
    }
  })

  it('refuses a group that has reserved what is mapped', () => {
    const reserved = [
      { at: EDU, start: '0x10000000', end: '0x1fffffff', kind: 'reserved' },
      { at: NVME, start: '0x20000000', end: '0x2fffffff', kind: 'direct-relaxable' },
    ] as const
    const machine = testMachine({ reserved })
    for (const address of [NIC, EDU, NVME]) bind(machine, address)
    const program = new Program(machine)
    const { container } = program.container([NIC])
    const memory = program.memory(1)
    program.map(container, memory.address, 0x1ffff000, 1)
    program.map(container, memory.address, 0x20000000, 1)
    const edu = program.group(EDU)
    expect(errnoOf(() => program.setContainer(edu, container))).toBe('EINVAL')
    expect(machine.iommu.groups.get(4)?.owner).toBeNull()
    expect(errnoOf(() => program.setContainer(program.group(NVME), container))).toBe('ok')
    program.unmap(container, 0x1ffff000, 0x1000)
    expect(errnoOf(() => program.setContainer(edu, container))).toBe('ok')
    expect(errnoOf(() => program.map(container, memory.address, 0x1ffff000, 1))).toBe('EINVAL')
    // The addresses come back when the group leaves.
    program.ioctl(edu, REQUEST.groupUnsetContainer)
    expect(errnoOf(() => program.map(container, memory.address, 0x1ffff000, 1))).toBe('ok')
  })

  it('gives access as it was asked for', () => {
    const { machine, program, container } = opened()
    const memory = program.memory(2)
    program.map(container, memory.address, 0, 1, 1)
    program.map(container, memory.address, 0x1000, 1, 2)
    const unit = machine.iommu.units[0]
    const reach = (page: number, write: boolean): boolean =>
      (unit?.hardware.translate(0x0100, page, write) ?? -1) >= 0
    expect([reach(0, false), reach(0, true)]).toEqual([true, false])
    expect([reach(1, false), reach(1, true)]).toEqual([false, true])
    expect([READ, WRITE]).toEqual([1, 2])
  })
})
