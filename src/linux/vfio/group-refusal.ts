/**
 * Which property stands in the way when the kernel does not let a group into a container. The kernel gives an errno;
 * the rest is looked at afterwards (drivers/vfio/container.c, vfio_iommu_type1_attach_group).
 *
 *     EBUSY   a driver of the kernel has a member, or another program has the group
 *     EPERM   interrupts are not isolated
 *     EINVAL  something is mapped where this group has a reserved region, or its IOMMU cannot translate what is
 *             mapped: other page sizes, fewer address bits
 *     ENOMEM  what is mapped for the others cannot be mapped for this one too
 */
import { IsogroupError } from '../../base/errors.ts'
import type { IovaRange } from '../../isolation/context/iova-space.ts'
import type { KernelError, KernelView } from '../../kernel/kernel.ts'
import { baseName, readLink, readList, readText } from '../reading.ts'

const GROUPS = '/sys/kernel/iommu_groups'
const UNSAFE_INTERRUPTS = '/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts'
/** Drivers under which a member does not stand in the way (driver_managed_dma). */
const HARMLESS = /^(?:vfio|pci-stub$|pcieport$|shpchp$)|vfio/

export interface Surroundings {
  /** Groups that are in the container already. */
  readonly groups: readonly string[]
  /** What is mapped in it. */
  readonly mapped: readonly IovaRange[]
}

export function groupRefused(
  kernel: KernelView,
  id: string,
  cause: KernelError,
  around: Surroundings,
): IsogroupError {
  const { why, next } = reason(kernel, id, cause.code, around)
  return new IsogroupError('refused', `group ${id} cannot be used: ${why} (${cause.code})`, next, {
    cause,
  })
}

interface Reason {
  readonly why: string
  readonly next: string
}

function reason(kernel: KernelView, id: string, code: string, around: Surroundings): Reason {
  const show = `isogroup show group:${id}`
  switch (code) {
    case 'EBUSY': {
      const members = membersInUse(kernel, id)
      if (members.length === 0) return { why: 'another program uses it', next: show }
      return {
        why: `the kernel's drivers have members of it: ${members.join(', ')}`,
        next: `isogroup claim group:${id}`,
      }
    }
    case 'EPERM':
      return interruptsNotIsolated(kernel, id)
    case 'EINVAL':
      return conflict(kernel, id, around)
    case 'ENOMEM':
      return {
        why: 'there is no memory for its tables, or a limit is reached',
        next: 'unmap what is not needed; dmesg may tell more',
      }
    default:
      return { why: 'the kernel says no', next: show }
  }
}

function interruptsNotIsolated(kernel: KernelView, id: string): Reason {
  const allowed = readText(kernel, UNSAFE_INTERRUPTS)
  const setting = allowed.known ? (allowed.value ?? '').trim() : 'unknown'
  return {
    why: `its interrupts are not isolated, and allow_unsafe_interrupts is ${setting || 'unknown'}`,
    next: `isogroup explain group:${id}; interrupt remapping is switched on in the firmware`,
  }
}

function conflict(kernel: KernelView, id: string, { groups, mapped }: Surroundings): Reason {
  for (const region of reservedRegions(kernel, id)) {
    const hit = mapped.find(({ start, end }) => start <= region.end && end >= region.start)
    if (hit === undefined) continue
    return {
      why: `its reserved region ${range(region)} (${region.type}) meets what is mapped at ${range(hit)}`,
      next: 'map elsewhere, or let this group in before anything is mapped',
    }
  }
  const own = iommuOf(kernel, id)
  const others = new Set(groups.map((group) => iommuOf(kernel, group)))
  if (own !== null && groups.length > 0 && !others.has(own)) {
    return {
      why: `it is behind IOMMU ${own}, which cannot translate what is mapped behind ${[...others].join(', ')}: page sizes, address bits or coherency differ`,
      next: 'open a context of its own for it',
    }
  }
  return {
    why: 'it is in a container already, or its IOMMU cannot translate what is mapped',
    next: `isogroup contexts shows who uses it`,
  }
}

function range({ start, end }: IovaRange): string {
  return `0x${start.toString(16)}-0x${end.toString(16)}`
}

/** "0000:01:00.1 (snd_hda_intel)" */
function membersInUse(kernel: KernelView, id: string): readonly string[] {
  return members(kernel, id).flatMap((address) => {
    const driver = readLink(kernel, `/sys/bus/pci/devices/${address}/driver`)
    if (!driver.known || driver.value === null) return []
    const name = baseName(driver.value)
    return HARMLESS.test(name) ? [] : [`${address} (${name})`]
  })
}

function members(kernel: KernelView, id: string): readonly string[] {
  const names = readList(kernel, `${GROUPS}/${id}/devices`)
  return names.known ? [...(names.value ?? [])].sort() : []
}

/** "dmar0"; null when it cannot be told. */
function iommuOf(kernel: KernelView, id: string): string | null {
  const [first] = members(kernel, id)
  if (first === undefined) return null
  const link = readLink(kernel, `/sys/bus/pci/devices/${first}/iommu`)
  return link.known && link.value !== null ? baseName(link.value) : null
}

interface ReservedRegion extends IovaRange {
  readonly type: string
}

/** Regions that nothing may be mapped in: relaxable ones do not count (vfio_iommu_resv_conflict). */
function reservedRegions(kernel: KernelView, id: string): readonly ReservedRegion[] {
  const text = readText(kernel, `${GROUPS}/${id}/reserved_regions`)
  const lines = text.known ? (text.value ?? '').split('\n') : []
  return lines.flatMap((line) => {
    const [start, end, type] = line.trim().split(/\s+/)
    if (start === undefined || end === undefined || type === undefined) return []
    return type === 'direct-relaxable' ? [] : [{ start: Number(start), end: Number(end), type }]
  })
}
