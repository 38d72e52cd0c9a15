/**
 * DMA ownership: a group serves kernel drivers, or one user, never both (drivers/iommu/iommu.c, 5.19 and
 * later; the seed's dma_ops and iommu_ops).
 *
 *                   claim
 *         idle ---------------> user      refuses drivers (EBUSY) and claims (EPERM)
 *         |  ^ <---------------
 *         |  |     release
 *   first |  | last driver unbinds
 *   driver|  |
 *   binds v  |
 *         kernel                          refuses claims (EPERM); each driver counts one
 *
 * Drivers that say `managesDma` (bridges, stubs, vfio) never ask, so they bind in any state. The bus
 * asks before it calls probe, which makes the check atomic: whoever comes second loses.
 *
 * While a user owns the group but has not said where DMA shall go, a domain that blocks everything is
 * attached. Leaving it there, and not the default domain, means that a device still running after its
 * kernel driver left cannot reach memory.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { Device } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import type { IommuGroup } from './group.ts'
import { restoreGroupDomain, setGroupDomain, type UnitRegistry } from './group-domain.ts'

export type OwnershipState = 'idle' | 'kernel' | 'user'
type OwnershipRequest = 'driver binds' | 'driver unbinds' | 'claim' | 'release'

/**
 * What each request does in each state: the errno it is refused with, or 'ok'. What the kernel only
 * warns about (a release without a claim) is null: a mistake of the caller.
 */
// biome-ignore format: a table
export const TRANSITIONS: Readonly<
  Record<OwnershipState, Readonly<Record<OwnershipRequest, 'ok' | 'EBUSY' | 'EPERM' | null>>>
> = {
  idle:   { 'driver binds': 'ok',    'driver unbinds': null, claim: 'ok',    release: null },
  kernel: { 'driver binds': 'ok',    'driver unbinds': 'ok', claim: 'EPERM', release: null },
  user:   { 'driver binds': 'EBUSY', 'driver unbinds': null, claim: 'EPERM', release: 'ok' },
}

/** Who has the group: nobody, kernel drivers (any number of them), or one user. */
export function ownershipState(group: IommuGroup): OwnershipState {
  if (group.owner !== null) return 'user'
  return group.ownerCount > 0 ? 'kernel' : 'idle'
}

/**
 * iommu_device_use_default_domain(), before a kernel driver's probe.
 * @throws Errno EBUSY when a user has the group; EPROBE_DEFER while it has no default domain (6.5)
 */
export function useDefaultDomain(units: UnitRegistry, device: Device): void {
  const group = device.iommuGroup
  const { version } = units.context
  if (group === null || !atLeast(version, 5, 19)) return
  if (group.defaultDomain === null && group.unit !== null && atLeast(version, 6, 5)) {
    throw new Errno('EPROBE_DEFER')
  }
  demand(group, 'driver binds')
  // Kernel code that attached a domain of its own, as iommu_attach_group allows without a claim.
  if (group.ownerCount > 0 && group.domain !== group.defaultDomain) throw new Errno('EBUSY')
  group.ownerCount += 1
}

/** iommu_device_unuse_default_domain(), after a failed probe or an unbind. */
export function unuseDefaultDomain(units: UnitRegistry, device: Device): void {
  const group = device.iommuGroup
  if (group === null || !atLeast(units.context.version, 5, 19)) return
  demand(group, 'driver unbinds')
  group.ownerCount -= 1
}

/**
 * iommu_group_claim_dma_owner(): the group is the owner's, and its DMA is blocked until the owner
 * attaches a domain. Before 5.19 nothing is checked or blocked; see viability.ts.
 *
 * @param owner any object; for VFIO the file that has the group open
 * @throws Errno EPERM when kernel drivers or another user have it; EBUSY when it is attached to
 *   something else; EINVAL when the blocking domain cannot be attached (memory kept by firmware, 6.6)
 */
export function claimGroup(units: UnitRegistry, group: IommuGroup, owner: object): void {
  if (!atLeast(units.context.version, 5, 19)) {
    group.owner = owner
    return
  }
  demand(group, 'claim')
  if (group.domain !== null && group.domain !== group.defaultDomain) throw new Errno('EBUSY')
  if (group.unit !== null) {
    group.blockingDomain ??= group.unit.createDomain('blocked')
    setGroupDomain(units, group, group.blockingDomain)
  }
  group.owner = owner
  group.ownerCount = 1
}

/** iommu_group_release_dma_owner(): back to the kernel, and to the default domain. */
export function releaseGroup(units: UnitRegistry, group: IommuGroup): void {
  if (!atLeast(units.context.version, 5, 19)) {
    group.owner = null
    return
  }
  demand(group, 'release')
  group.ownerCount = 0
  group.owner = null
  restoreGroupDomain(units, group, group.defaultDomain)
}

function demand(group: IommuGroup, request: OwnershipRequest): void {
  const state = ownershipState(group)
  const answer = TRANSITIONS[state][request]
  if (answer === 'ok') return
  if (answer !== null) throw new Errno(answer)
  throw new Error(`${request}: group ${String(group.id)} is ${state}, a mistake of the caller`)
}
