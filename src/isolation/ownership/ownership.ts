/**
 * Who has a group: shared by drivers of the kernel, or owned by one user, and never both (DMA ownership in
 * drivers/iommu/iommu.c, since Linux 5.19: iommu_device_use_default_domain, iommu_group_claim_dma_owner).
 *
 *                      bind                                  open
 *                 .------------>  +-----------+  bind    .----------->  +----------+  bind: refused (EBUSY)
 *      +------+  /                | kernel    |--.  +------+            | single   |--.
 *      | free |-+                 | sharing   |<-'  | free |            | user     |<-'
 *      +------+  \                +-----------+     +------+            | owner    |  open: refused (EBUSY)
 *                 '<------------   open: refused        <-----------'  +----------+
 *                   last leaves    (EPERM)                close
 *
 * `bind` is a driver that does DMA of its own. VFIO drivers, pcieport and pci-stub are none (driver_managed_dma):
 * a group whose members are all on them is free. Opening a group never takes a driver from anybody, whoever
 * opens it and however often: it is refused as long as a driver is there.
 */
import type { Fact } from '../../base/fact.ts'
import { driverRole } from '../assess/driver-roles.ts'

export type Ownership = 'free' | 'kernel' | 'user'

export type OwnershipEvent = 'bind' | 'unbind' | 'last-unbind' | 'open' | 'close'

/** The next owner, or the errno of the refusal; null: it cannot happen there. */
export const OWNERSHIP: Readonly<
  Record<Ownership, Readonly<Record<OwnershipEvent, Ownership | 'EBUSY' | 'EPERM' | null>>>
> = {
  free: { bind: 'kernel', unbind: null, 'last-unbind': null, open: 'user', close: null },
  kernel: { bind: 'kernel', unbind: 'kernel', 'last-unbind': 'free', open: 'EPERM', close: null },
  user: { bind: 'EBUSY', unbind: null, 'last-unbind': null, open: 'EBUSY', close: 'free' },
}

/**
 * From what can be seen. A driver that is unknown may be one of the kernel's.
 * @param drivers of all members, bridges too @param inUse whether a program has the group open
 */
export function ownershipOf(drivers: readonly Fact<string | null>[], inUse: boolean): Ownership {
  if (inUse) return 'user'
  return drivers.some(isOfKernel) ? 'kernel' : 'free'
}

function isOfKernel(driver: Fact<string | null>): boolean {
  if (!driver.known) return true
  return driver.value !== null && driverRole(driver.value) === 'kernel'
}
