/**
 * What a model shows beyond its files: what happened in which order, which contexts groups use, and what
 * the IOMMU refused. Programs cannot see these on a real machine; people who learn or test want to.
 */
import { formatAddress } from '../pci/address.ts'
import type { IommuGroup } from '../model/iommu/group.ts'
import type { Domain } from '../model/iommu/domain.ts'
import type { Model } from '../model/model.ts'

/** A line of the kernel's log, or a uevent as `udevadm monitor` prints it. */
export interface ModelEvent {
  readonly kind: 'log' | 'uevent'
  /** "pci 0000:03:00.0: Adding to iommu group 9"; "add /devices/pci0000:00/0000:00:01.0 (pci)" */
  readonly text: string
}

/** One IOMMU address space (a domain of Linux) and the groups that point at it. */
export interface ModelContext {
  /** Counts from 1 in the order in which they were first seen: the same number is the same tables. */
  readonly number: number
  /** Whose it is: kernel drivers share the default one; nothing is mapped in the blocking one. */
  readonly use: 'kernel' | 'user' | 'blocked'
  /** Group ids. */
  readonly groups: readonly string[]
  /** Bytes of page tables, in the hardware's own format. */
  readonly tableBytes: number
}

/** An access that the IOMMU refused. */
export interface ModelFault {
  /** Requester id as the IOMMU saw it, "01:00.0"; a bridge's where the bridge replaces ids. */
  readonly requester: string
  /** Bus address in bytes; hardware records only the page. */
  readonly address: number
  readonly write: boolean
  /** In the words of the IOMMU's manual. */
  readonly reason: string
}

export interface ModelWatch {
  events(): readonly ModelEvent[]
  contexts(): readonly ModelContext[]
  faults(): readonly ModelFault[]
}

/** Watches from now on. */
export function watchModel(model: Model): ModelWatch {
  return { events: eventsOf(model), contexts: contextsOf(model), faults: () => faultsOf(model) }
}

/** @returns a function that gives what is new since its last call, log and uevents in their order */
function eventsOf({ context: { log, uevents } }: Model): () => readonly ModelEvent[] {
  let seen = log.length
  let events: ModelEvent[] = []
  const takeLog = (): void => {
    for (const text of log.slice(seen)) events.push({ kind: 'log', text })
    seen = log.length
  }
  uevents.listen(({ action, devpath, variables }) => {
    takeLog()
    const subsystem = variables.find(([key]) => key === 'SUBSYSTEM')?.[1] ?? ''
    events.push({ kind: 'uevent', text: `${action} ${devpath} (${subsystem})` })
  })
  return () => {
    takeLog()
    const taken = events
    events = []
    return taken
  }
}

function contextsOf({ iommu }: Model): () => readonly ModelContext[] {
  const numbers = new WeakMap<Domain, number>()
  let last = 0
  const numberOf = (domain: Domain): number => {
    const known = numbers.get(domain)
    if (known !== undefined) return known
    last += 1
    numbers.set(domain, last)
    return last
  }
  return () => {
    const byDomain = new Map<Domain, IommuGroup[]>()
    for (const group of iommu.groups.values()) {
      if (group.domain === null) continue
      const groups = byDomain.get(group.domain)
      if (groups === undefined) byDomain.set(group.domain, [group])
      else groups.push(group)
    }
    return [...byDomain].map(([domain, groups]) => ({
      number: numberOf(domain),
      use: useOf(domain, groups),
      groups: groups.map(({ id }) => String(id)),
      tableBytes: domain.tableBytes,
    }))
  }
}

function useOf(domain: Domain, groups: readonly IommuGroup[]): ModelContext['use'] {
  if (groups.some(({ defaultDomain }) => defaultDomain === domain)) return 'kernel'
  return groups.some(({ blockingDomain }) => blockingDomain === domain) ? 'blocked' : 'user'
}

function faultsOf({ iommu }: Model): readonly ModelFault[] {
  return iommu.units.flatMap(({ hardware }) => {
    const faults = hardware.faults.map(({ requester, page, write, text }) => ({
      requester: requesterName(requester),
      address: page * 4096,
      write,
      reason: text,
    }))
    hardware.clearFaults()
    return faults
  })
}

function requesterName(id: number): string {
  const at = { domain: 0, bus: id >> 8, device: (id >> 3) & 0x1f, function: id & 7 }
  return formatAddress(at).slice('0000:'.length)
}
