import { describe, expect, it } from 'vitest'
import type { PciDevice } from '../pci/pci-device.ts'
import { IommuGroup } from './group.ts'
import { pciDeviceGroup } from './pci-grouping.ts'
import { GOOD_ACS, PciTree, type Traits } from './pci-tree.case.ts'

const RULES = { version: { major: 6, minor: 12 }, ivrs: false }

/** Somebody switches ACS off after the groups were formed. */
function switchOff(port: PciDevice): void {
  const { config } = port.hardware
  config.poke(config.extendedCapability(0x0d) + 6, 2, 0)
}

/** Group numbers in the order of the tree's registration, as a boot gives them. */
function boot(tree: PciTree): Map<string, number> {
  const numbers = new Map<string, number>()
  const groups: IommuGroup[] = []
  for (const device of tree.devices) {
    let group = pciDeviceGroup(device, RULES)
    if (group === null) {
      group = new IommuGroup(groups.length, null, null)
      groups.push(group)
    }
    group.join(device)
    numbers.set(device.name, group.id)
  }
  return numbers
}

/** Partition as lists of addresses, by number. */
function groups(tree: PciTree): string[][] {
  const lists: string[][] = []
  for (const [name, id] of boot(tree)) (lists[id] ??= []).push(name.replace('0000:', ''))
  return lists
}

const GOOD_PORT: Traits = { type: 4, acs: GOOD_ACS }

describe('pciDeviceGroup', () => {
  it('gives functions on paths with ACS groups of their own', () => {
    const tree = new PciTree()
    tree.plug('0000:00:00.0', { type: null })
    const port = tree.plug('0000:00:01.0', GOOD_PORT)
    tree.plug('0000:01:00.0', { below: port })
    expect(groups(tree)).toEqual([['00:00.0'], ['00:01.0'], ['01:00.0']])
  })

  it('drags what is below a port without ACS into the group of the port', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:02.0', { type: 4 })
    tree.plug('0000:02:00.0', { below: port })
    expect(groups(tree)).toEqual([['00:02.0', '02:00.0']])
  })

  it('drags everything below when the top of the path fails, though all below it isolates', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:02.0', { type: 4 })
    const up = tree.plug('0000:02:00.0', { type: 5, below: port })
    const down = tree.plug('0000:03:00.0', { type: 6, acs: GOOD_ACS, below: up })
    tree.plug('0000:04:00.0', { below: down })
    expect(groups(tree)).toEqual([['00:02.0', '02:00.0', '03:00.0', '04:00.0']])
  })

  it('leaves the hole of switches: ports without ACS get a group each', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:03.0', GOOD_PORT)
    const up = tree.plug('0000:03:00.0', { type: 5, below: port })
    const one = tree.plug('0000:04:00.0', { type: 6, below: up })
    const two = tree.plug('0000:04:01.0', { type: 6, below: up })
    tree.plug('0000:05:00.0', { below: one })
    tree.plug('0000:06:00.0', { below: two })
    expect(groups(tree)).toEqual([
      ['00:03.0'],
      ['03:00.0'],
      ['04:00.0', '05:00.0'],
      ['04:01.0', '06:00.0'],
    ])
  })

  it('puts all behind a PCIe-to-PCI bridge with the bridge', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:04.0', GOOD_PORT)
    const bridge = tree.plug('0000:07:00.0', { type: 7, below: port })
    tree.plug('0000:08:01.0', { type: null, below: bridge })
    tree.plug('0000:08:02.0', { type: null, below: bridge })
    expect(groups(tree)).toEqual([['00:04.0'], ['07:00.0', '08:01.0', '08:02.0']])
  })

  it('walks through nested conventional bridges to the last one that puts its id on requests', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:04.0', GOOD_PORT)
    const bridge = tree.plug('0000:07:00.0', { type: 7, below: port })
    const inner = tree.plug('0000:08:01.0', { type: null, classCode: 0x060400, below: bridge })
    tree.plug('0000:09:00.0', { type: null, below: inner })
    expect(groups(tree)).toEqual([['00:04.0'], ['07:00.0', '08:01.0', '09:00.0']])
  })

  it('joins functions of a slot that do not isolate, and leaves out those that do', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:05.0', GOOD_PORT)
    tree.plug('0000:09:00.0', { multifunction: true, below: port })
    tree.plug('0000:09:00.1', { multifunction: true, acs: GOOD_ACS, below: port })
    tree.plug('0000:09:00.2', { multifunction: true, below: port })
    expect(groups(tree)).toEqual([['00:05.0'], ['09:00.0', '09:00.2'], ['09:00.1']])
  })

  it('does not join a function that isolates, though the newcomer does not', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:05.0', GOOD_PORT)
    tree.plug('0000:09:00.0', { multifunction: true, acs: GOOD_ACS, below: port })
    tree.plug('0000:09:00.1', { multifunction: true, below: port })
    expect(groups(tree)).toEqual([['00:05.0'], ['09:00.0'], ['09:00.1']])
  })

  it('keeps conventional functions of a slot apart while none is flagged multifunction', () => {
    const tree = new PciTree()
    for (const fn of ['1f.0', '1f.2']) tree.plug(`0000:00:${fn}`, { type: null })
    expect(groups(tree)).toEqual([['00:1f.0'], ['00:1f.2']])
  })

  it('joins conventional multifunction devices, slot by slot', () => {
    const tree = new PciTree()
    const chipset = { type: null, multifunction: true }
    for (const fn of ['1f.0', '1f.2', '1e.0', '1f.3']) tree.plug(`0000:00:${fn}`, chipset)
    expect(groups(tree)).toEqual([['00:1f.0', '00:1f.2', '00:1f.3'], ['00:1e.0']])
  })

  it('asks for the multifunction flag of the newcomer, which hot add sets too late', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:05.0', GOOD_PORT)
    tree.plug('0000:09:00.0', { multifunction: true, below: port })
    tree.plug('0000:09:00.1', { multifunction: false, below: port })
    expect(groups(tree)).toEqual([['00:05.0'], ['09:00.0'], ['09:00.1']])
  })

  it('groups multifunction root ports without ACS with the children of all of them', () => {
    const tree = new PciTree()
    const one = tree.plug('0000:00:07.0', { type: 4, multifunction: true })
    const two = tree.plug('0000:00:07.1', { type: 4, multifunction: true })
    tree.plug('0000:0b:00.0', { below: one })
    tree.plug('0000:0c:00.0', { below: two })
    expect(groups(tree)).toEqual([['00:07.0', '00:07.1', '0b:00.0', '0c:00.0']])
  })

  it('finds a group through functions that share requester ids, one after the other', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:05.0', GOOD_PORT)
    const one = tree.plug('0000:09:00.0', { below: port })
    const two = tree.plug('0000:09:01.0', { below: port })
    const three = tree.plug('0000:09:02.0', { below: port })
    tree.plug('0000:09:03.0', { below: port })
    one.dmaAliases.add(two.devfn)
    three.dmaAliases.add(two.devfn)
    expect(groups(tree)).toEqual([['00:05.0'], ['09:00.0', '09:01.0', '09:02.0'], ['09:03.0']])
  })

  it('takes slot siblings of a device that shares an id too', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:05.0', GOOD_PORT)
    tree.plug('0000:09:00.1', { multifunction: true, below: port })
    // The one whose id it shares comes later and has no group yet.
    const late = tree.plug('0000:09:01.0', { below: port })
    late.dmaAliases.add(tree.plug('0000:09:00.0', { multifunction: true, below: port }).devfn)
    expect(groups(tree)).toEqual([['00:05.0'], ['09:00.1', '09:01.0', '09:00.0']])
  })

  it('does not take an id that nobody has for a neighbour', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:05.0', GOOD_PORT)
    tree.plug('0000:09:00.0', { below: port }).dmaAliases.add(1)
    tree.plug('0000:09:01.0', { below: port })
    expect(groups(tree)).toEqual([['00:05.0'], ['09:00.0'], ['09:01.0']])
  })

  it('puts what is behind a VMD endpoint into the group of the endpoint', () => {
    const tree = new PciTree()
    const endpoint = tree.plug('0000:00:0e.0', { type: 9 })
    const port = tree.plug('0000:e0:01.0', GOOD_PORT)
    const disk = tree.plug('0000:e1:00.0', { below: port })
    for (const device of [port, disk]) device.realDmaDevice = endpoint
    expect(groups(tree)).toEqual([['00:0e.0', 'e0:01.0', 'e1:00.0']])
  })

  it('lets a group that exists win over a path that has become worse since', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:04.0', GOOD_PORT)
    const bridge = tree.plug('0000:07:00.0', { type: 7, below: port })
    const other = tree.plug('0000:00:05.0', GOOD_PORT)
    const up = tree.plug('0000:03:00.0', { type: 5, below: other })
    const down = tree.plug('0000:04:00.0', { type: 6, below: up })
    boot(tree)
    switchOff(port)
    switchOff(other)
    const card = tree.plug('0000:08:01.0', { type: null, below: bridge })
    expect(pciDeviceGroup(card, RULES)).toBe(bridge.iommuGroup)
    const nic = tree.plug('0000:05:00.0', { below: down })
    expect(pciDeviceGroup(nic, RULES)).toBe(down.iommuGroup)
  })

  it('keeps virtual functions apart where the path isolates, on any bus', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:06.0', GOOD_PORT)
    const physical = tree.plug('0000:0a:00.0', { below: port })
    tree.plugVirtual('0000:0a:00.1', physical)
    tree.plugVirtual('0000:0b:00.0', physical)
    expect(groups(tree)).toEqual([['00:06.0'], ['0a:00.0'], ['0a:00.1'], ['0b:00.0']])
  })

  it('drags virtual functions on bridge-less buses into the group above when the path fails', () => {
    const tree = new PciTree()
    const port = tree.plug('0000:00:06.0', { type: 4 })
    const physical = tree.plug('0000:0a:00.0', { below: port })
    tree.plugVirtual('0000:0b:00.0', physical)
    expect(groups(tree)).toEqual([['00:06.0', '0a:00.0', '0b:00.0']])
  })

  it('looks at no more than the bus in question', () => {
    const tree = new PciTree()
    let reads = 0
    for (let n = 0; n < 200; n += 1) {
      const slot = (n >> 3).toString(16).padStart(2, '0')
      const port = tree.plug(`0000:00:${slot}.${String(n & 7)}`, {
        ...GOOD_PORT,
        multifunction: true,
      })
      const bus = (n + 1).toString(16).padStart(2, '0')
      const below = tree.plug(`0000:${bus}:00.0`, { below: port })
      const { devices } = below.pciBus
      Object.defineProperty(below.pciBus, 'devices', {
        get: () => {
          reads += 1
          return devices
        },
      })
    }
    expect(new Set(boot(tree).values()).size).toBe(400)
    expect(reads).toBe(200)
  })
})
