/**
 * Which group does a PCI device join? pci_device_group() of drivers/iommu/iommu.c.
 *
 * The kernel has no list of groups to choose from: devices come one by one, and each looks around for
 * a neighbour that it cannot be told apart from, or kept apart from, and that already has a group.
 *
 *     1. requester ids:  D and everything that puts its id on D's requests, up to the root
 *     2. peer traffic:   from the last of those upward, every bridge that may turn requests round
 *     3. shared ids:     devices on that bus that use the same requester id by mistake
 *     4. functions:      siblings in the slot that can talk to each other inside the device
 *     5. nobody found:   a new group
 *
 * It looks at no more than the bus in question, so boot time grows linearly with the number of devices.
 * What is wrong with it is right here too: step 4 sees functions of one slot only, not the ports of a
 * switch, and the multifunction flag comes too late at hot add (docs of the isolation rules).
 */
import type { PciDevice } from '../pci/pci-device.ts'
import { forEachDmaAlias } from '../pci/dma-alias-walk.ts'
import type { IommuGroup } from './group.ts'
import { type AcsRules, acsEnabled, acsPathEnabled } from './pci-acs.ts'

/** @returns the group to join; null when the device needs a new one */
export function pciDeviceGroup(device: PciDevice, rules: AcsRules): IommuGroup | null {
  let current = device
  const found = forEachDmaAlias(device, (owner) => {
    current = owner
    return owner.iommuGroup !== null
  })
  if (found) return current.iommuGroup

  for (let bus = current.pciBus; bus.parent !== null; bus = bus.parent) {
    // Buses of virtual functions have no bridge.
    if (bus.bridge === null) continue
    if (acsPathEnabled(bus.bridge, rules)) break
    current = bus.bridge
    if (current.iommuGroup !== null) return current.iommuGroup
  }

  const search: Search = { rules, visited: new Set() }
  return aliasGroup(current, search) ?? functionGroup(current, search)
}

/** One search for neighbours; all of them are on one bus, so devfns tell them apart. */
interface Search {
  readonly rules: AcsRules
  readonly visited: Set<number>
}

/** get_pci_alias_group(): the group of the device, or of one that it shares requester ids with. */
function aliasGroup(device: PciDevice, search: Search): IommuGroup | null {
  if (search.visited.has(device.devfn)) return null
  search.visited.add(device.devfn)
  if (device.iommuGroup !== null) return device.iommuGroup
  for (const other of device.pciBus.devices) {
    if (other === device || !areAliases(device, other)) continue
    const group = aliasGroup(other, search) ?? functionGroup(other, search)
    if (group !== null) return group
  }
  return null
}

/** get_pci_function_alias_group(): functions of the slot, none of which isolates. */
function functionGroup(device: PciDevice, search: Search): IommuGroup | null {
  if (!device.multifunction || acsEnabled(device, search.rules)) return null
  for (const other of device.pciBus.devices) {
    if (other === device || other.at.device !== device.at.device) continue
    if (acsEnabled(other, search.rules)) continue
    const group = aliasGroup(other, search)
    if (group !== null) return group
  }
  return null
}

/** pci_devs_are_dma_aliases(), for two devices on one bus. */
function areAliases(one: PciDevice, other: PciDevice): boolean {
  return (
    one.dmaAliases.has(other.devfn) ||
    other.dmaAliases.has(one.devfn) ||
    one.realDmaDevice === other ||
    other.realDmaDevice === one
  )
}
