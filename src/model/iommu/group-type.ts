/**
 * The `type` file of a group: which default domain it has, and how to change it from user space
 * (iommu_group_show_type() and iommu_group_store_type() of drivers/iommu/iommu.c).
 *
 * Changing it swaps the page tables under all members, so none may be in use. Until 6.3 the kernel made
 * sure by locking the device against binding, which works for groups of one only; since then the
 * owner count of the group tells. One change is always possible: DMA to DMA-FQ is the same tables with
 * lazier flushing.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { Credentials } from '../process.ts'
import type { Device } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import type { Task } from '../task.ts'
import { type DefaultDomains, requiredType, setUpDefaultDomain } from './default-domain.ts'
import type { DefaultType } from './default-policy.ts'
import type { Domain } from './domain.ts'
import type { IommuGroup } from './group.ts'

/** "DMA\n"; groups without a default domain read "unknown". */
export function showType(group: IommuGroup): string {
  return `${group.defaultDomain?.type ?? 'unknown'}\n`
}

/**
 * One write to the file.
 * @throws Errno EACCES, EINVAL, EPERM (6.4 and later), EBUSY (before)
 */
export function* storeType(
  core: DefaultDomains,
  group: IommuGroup,
  bytes: Uint8Array,
  who: Credentials,
): Task<void> {
  if (!who.capabilities.has('CAP_SYS_ADMIN') || !who.capabilities.has('CAP_SYS_RAWIO')) {
    throw new Errno('EACCES')
  }
  const now = group.defaultDomain
  if (now === null) throw new Errno('EINVAL')
  const target = parseType(bytes)
  if (atLeast(core.context.version, 6, 4)) changeType(core, group, now, target)
  else yield* changeTypeOfOne(core, group, target)
}

/** null = "auto" */
function parseType(bytes: Uint8Array): DefaultType | null {
  const end = bytes.indexOf(0)
  const text = String.fromCharCode(...bytes.subarray(0, end === -1 ? bytes.length : end))
  // sysfs_streq() forgives one newline.
  switch (text.endsWith('\n') ? text.slice(0, -1) : text) {
    case 'identity':
      return 'identity'
    case 'DMA':
      return 'DMA'
    case 'DMA-FQ':
      return 'DMA-FQ'
    case 'auto':
      return null
    default:
      throw new Errno('EINVAL')
  }
}

function changeType(
  core: DefaultDomains,
  group: IommuGroup,
  now: Domain,
  target: DefaultType | null,
): void {
  if (target === 'DMA-FQ' && now.type === 'DMA') {
    now.type = 'DMA-FQ'
    return
  }
  if (group.members.length === 0 || group.ownerCount > 0) throw new Errno('EPERM')
  setUpDefaultDomain(core, group, target)
}

/** Until 6.3: only the device lock keeps drivers away, and only one can be held without deadlocks. */
function* changeTypeOfOne(
  core: DefaultDomains,
  group: IommuGroup,
  target: DefaultType | null,
): Task<void> {
  const device = onlyMember(core, group)
  yield* device.lock.with(function* () {
    const lazier = target === 'DMA-FQ' && group.defaultDomain?.type === 'DMA'
    if (device.driver !== null && !lazier) {
      core.context.log.push('iommu: Device is still bound to driver')
      throw new Errno('EBUSY')
    }
    changeLocked(core, group, device, target)
  })
}

function onlyMember(core: DefaultDomains, group: IommuGroup): Device {
  const [member] = group.members
  if (member === undefined || group.members.length > 1) {
    const why = 'Cannot change default domain: Group has more than one device'
    core.context.log.push(`iommu: ${why}`)
    throw new Errno('EINVAL')
  }
  return member.device
}

/** iommu_change_dev_def_domain(), with the device locked: the group may have changed meanwhile. */
function changeLocked(
  core: DefaultDomains,
  group: IommuGroup,
  device: Device,
  target: DefaultType | null,
): void {
  const { log } = core.context
  const name = `${device.driver?.name ?? device.bus?.name ?? ''} ${device.name}`
  if (group.defaultDomain !== group.domain) {
    log.push(`${name}: Group not assigned to default domain`)
    throw new Errno('EBUSY')
  }
  if (onlyMember(core, group) !== device) {
    log.push(`${name}: Cannot change default domain: Device has been changed`)
    throw new Errno('EBUSY')
  }
  const now = group.defaultDomain
  if (now === null) throw new Errno('EINVAL')
  const required = requiredType(core, group)
  if (target !== null && required !== null && target !== required) {
    log.push(`${name}: Device cannot be in ${domainName(target)} domain`)
    throw new Errno('EINVAL')
  }
  const type = target ?? required ?? core.defaultType
  if (now.type === type) return
  if (now.type === 'DMA' && type === 'DMA-FQ') now.type = 'DMA-FQ'
  else setUpDefaultDomain(core, group, target)
}

/** iommu_domain_type_str() */
function domainName(type: DefaultType): string {
  return type === 'identity' ? 'Passthrough' : 'Translated'
}
