/**
 * Members of a group as a plan sees them: which are given away, and which stay where they are.
 *
 * Bridges stay: the kernel lets a user own a group whose ports are on pcieport (`driver_managed_dma`), and
 * vfio-pci takes no bridge (vfio_pci_core.c, vfio_pci_core_register_device). Host and ISA bridges, which are
 * devices to VFIO, stay too while no driver has them: nothing is won by moving them, and a lot hangs on them.
 */
import type { Fact } from '../../base/fact.ts'
import { bridgeKind } from '../assess/bridge.ts'
import { isChipsetClass } from '../assess/chipset.ts'
import { driverRole } from '../assess/driver-roles.ts'
import type { Node } from '../topology/topology.ts'

/**
 * - `move`: taken from its driver, if any, and given to the claim's
 * - `kept`: on the claim's driver already
 * - `stays`: not touched by the claim
 */
export type Fate = 'move' | 'kept' | 'stays'

export function fateOf(node: Node, driver: string): Fate {
  if (bridgeKind(node) !== 'device') return 'stays'
  const now = node.fn.driver
  if (now.known && now.value === driver) return 'kept'
  return isChipset(node) && !isHeldByKernel(now) ? 'stays' : 'move'
}

/** An unknown driver may be one. */
function isHeldByKernel(driver: Fact<string | null>): boolean {
  if (!driver.known) return true
  return driver.value !== null && driverRole(driver.value) !== 'harmless'
}

/** Whether it is a part of the chipset that serves the machine rather than a person. */
export function isChipset({ fn }: Node): boolean {
  return fn.classCode.known && isChipsetClass(fn.classCode.value)
}
