/**
 * What must hold in every state and for every step, whatever happened before. Each check looks at the
 * kernel from outside, and DMA is checked as a device would do it: by walking the hardware's tables.
 *
 * | name       | what must hold                                                                        |
 * |------------|---------------------------------------------------------------------------------------|
 * | ownership  | no driver that needs the DMA API is bound in a group that a user owns                  |
 * | reach      | a device reaches what its group's current context maps, and nothing else of the user   |
 * | open       | opening a file never changes a binding                                                 |
 * | assignment | a device has its group before any driver's probe, and before its "add" event           |
 * | sharing    | kernel drivers of a group share one context; two users never do                        |
 * | release    | a group that no user owns has its default context                                      |
 * | merge      | groups in one container point at one table; nothing is left when all is undone         |
 *
 * That nothing ever deadlocks is the engine's own check.
 */
import type { IommuGroup } from '../src/model/iommu/group.ts'
import { PciDevice } from '../src/model/pci/pci-device.ts'
import { requesterIds } from '../src/model/pci/dma-alias-walk.ts'
import { IOVA_PAGES, type Observed } from './observed.ts'
import type { Container } from '../src/model/vfio/container.ts'
import { VfioGroup } from '../src/model/vfio/vfio-group.ts'
import { domainKind } from './state-key.ts'

const NOTHING: ReadonlyMap<number, number> = new Map()

export class Checks {
  #violation: string | null = null
  readonly #run: Observed
  readonly #usedPages: number
  readonly #bindings: string

  constructor(run: Observed) {
    this.#run = run
    this.#usedPages = run.model.context.memory.usedPages
    this.#bindings = bindings(run)
    run.model.pci.bus.registerNotifier((event, device) => {
      if (event === 'bind-driver') this.#demandGroup(device, 'probe')
    })
    run.model.context.uevents.listen(({ action, devpath }) => {
      const device = run.model.pci.bus.devices.get(devpath.split('/').at(-1) ?? '')
      if (action === 'add' && device !== undefined) this.#demandGroup(device, '"add" event')
    })
  }

  /** Looks at every group of the state. @returns what is wrong, or was wrong on the way here */
  violation(): string | null {
    for (const group of this.#run.model.iommu.groups.values()) {
      this.#ownership(group)
      this.#release(group)
      this.#reach(group)
    }
    this.#sharing()
    this.#merge()
    return this.#violation
  }

  #fail(what: string): void {
    this.#violation ??= what
  }

  #demandGroup(
    device: { readonly name: string; readonly iommuGroup: unknown },
    when: string,
  ): void {
    if (device.iommuGroup === null)
      this.#fail(`assignment: ${device.name} has no group at its ${when}`)
  }

  #ownership(group: IommuGroup): void {
    if (group.owner === null) return
    for (const { device } of group.members) {
      if (device.driver === null || device.driver.managesDma) continue
      this.#fail(
        `ownership: ${device.driver.name} has ${device.name} in group ${String(group.id)}, which a user owns`,
      )
    }
  }

  #release(group: IommuGroup): void {
    if (group.owner !== null || domainKind(group) === 'default') return
    this.#fail(`release: group ${String(group.id)} has no owner and is left ${domainKind(group)}`)
  }

  /** Every member, under each requester id it may use, at every page of interest. */
  #reach(group: IommuGroup): void {
    const { unit } = group
    if (unit === null) return
    const mine = userPages(this.#run)
    const container = containerOf(group)
    const allowed = (container === null ? null : this.#run.mappings.get(container)) ?? NOTHING
    for (const { device } of group.members) {
      if (!(device instanceof PciDevice)) continue
      for (const requester of requesterIds(device)) {
        for (const page of IOVA_PAGES) {
          const got = unit.hardware.translate(requester, page, false)
          const wanted = group.domain?.physicalPage(page) ?? -1
          if (got !== wanted) this.#fail(reachText(device, page, got, wanted))
          if (mine.has(got) && allowed.get(page) !== got) {
            this.#fail(`reach: ${device.name} reaches memory of a user who did not map it for it`)
          }
          if (allowed.has(page) && domainKind(group) === 'user' && got !== allowed.get(page)) {
            this.#fail(reachText(device, page, got, allowed.get(page) ?? -1))
          }
        }
      }
    }
    unit.hardware.clearFaults()
  }

  /** A context belongs to one owner, and a default context to one group. */
  #sharing(): void {
    const owners = new Map<object, object>()
    for (const group of this.#run.model.iommu.groups.values()) {
      const { domain } = group
      if (domain === null || domainKind(group) === 'blocking') continue
      const owner = containerOf(group) ?? group
      const other = owners.get(domain)
      if (other !== undefined && other !== owner && domain.type !== 'identity') {
        this.#fail(`sharing: group ${String(group.id)} uses a context that is somebody else's`)
      }
      owners.set(domain, owner)
    }
  }

  #merge(): void {
    const domains = new Map<object, object>()
    for (const group of this.#run.model.iommu.groups.values()) {
      const container = containerOf(group)
      if (container === null || domainKind(group) !== 'user' || group.domain === null) continue
      const other = domains.get(container)
      if (other !== undefined && other !== group.domain) {
        this.#fail(`merge: groups of one container have two tables`)
      }
      domains.set(container, group.domain)
    }
    const { model, user } = this.#run
    if (model.context.scheduler.threads.length > 0 || user.openFiles().length > 0) return
    if (bindings(this.#run) !== this.#bindings || this.#run.mappings.size > 0) return
    const used = model.context.memory.usedPages
    if (used === this.#usedPages) return
    this.#fail(
      `merge: all is as in the beginning, but ${String(used)} pages of memory are used, not ${String(this.#usedPages)}`,
    )
  }
}

function reachText(device: PciDevice, page: number, got: number, wanted: number): string {
  const at = `0x${(page * 4096).toString(16)}`
  return `reach: DMA of ${device.name} to ${at} arrives at page ${String(got)}, its group's context says ${String(wanted)}`
}

/** Who has what: names of devices with their drivers and groups. */
export function bindings({ model }: Observed): string {
  const lines: string[] = []
  for (const device of model.pci.bus.devices.values()) {
    lines.push(
      `${device.name} ${device.driver?.name ?? '-'} ${String(device.iommuGroup?.id ?? '-')}`,
    )
  }
  return lines.sort().join('\n')
}

/** Mappings end with the last group of their container. */
export function forgetEmptyContainers({ model, mappings }: Observed): void {
  const used = new Set<Container | null>()
  for (const group of model.iommu.groups.values()) used.add(containerOf(group))
  for (const container of mappings.keys()) if (!used.has(container)) mappings.delete(container)
}

/** The container that the group is in; null when no user owns it. */
function containerOf(group: IommuGroup): Container | null {
  return group.owner instanceof VfioGroup ? group.owner.container : null
}

/** Physical pages of the user's memory that is mapped somewhere. */
function userPages({ mappings }: Observed): ReadonlySet<number> {
  const pages = new Set<number>()
  for (const of of mappings.values()) for (const page of of.values()) pages.add(page)
  return pages
}
