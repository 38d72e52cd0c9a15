/**
 * What the generator of a trace knows: the machine, the visible state, what is open. Both kernels have
 * given the same answers so far, or the trace has ended: so choosing by these is choosing from the seed.
 */
import type { Random } from '../random.ts'
import type { Operation, Outcome, SlotName, VisibleState } from './operation.ts'
import { type Performer, SLOT_COUNTS } from './perform.ts'
import { CONTAINER_REQUEST, GROUP_REQUEST } from '../../src/kernel/abi/vfio.ts'

/** Things that never change while a machine runs. */
export type Universe = {
  /** Functions that are left alone: the lab's own. */
  readonly ignored: ReadonlySet<string>
  readonly bridges: ReadonlySet<string>
  /** What may be removed by software. */
  readonly removable: readonly string[]
  /** Drivers by name, as below /sys/bus/pci/drivers. */
  readonly drivers: readonly string[]
  /** Drivers that functions have when nobody interferes. */
  readonly usual: Readonly<Record<string, string>>
  /** Drivers that take what they are given for their own hardware. */
  readonly trusting: Readonly<Record<'e1000e' | 'nvme', OwnHardware>>
  readonly newcomers: readonly Newcomer[]
  /** Functions that can have virtual functions, with the addresses those get. */
  readonly virtual: Readonly<Record<string, readonly string[]>>
  /** Bridge above each function, where it matters. */
  readonly above: Readonly<Record<string, string>>
  /** A bus whose functions share a requester id: the bridge to it, and the newcomer that comes there. */
  readonly sharedBus: { readonly bridge: string; readonly newcomer: string }
}

export type OwnHardware = {
  readonly addresses: readonly string[]
  /** Finds ids of the machine's other functions in what is written to `new_id`. */
  readonly foreignIds: RegExp
}

/** A device that is plugged in and taken out; `properties` are QEMU's. */
export type Newcomer = {
  readonly name: string
  readonly address: string
  readonly properties: Readonly<Record<string, string>>
}

export class World {
  readonly universe: Universe
  readonly random: Random
  readonly performer: Performer
  state: VisibleState
  /** Groups whose devices are on their way to a user; all others are on their way back. */
  readonly wanted: Set<string> = new Set()
  /** Groups that are claimed before all their devices are on their way, the next time. */
  readonly hasty: Set<string> = new Set()
  readonly plugged: Set<string> = new Set()
  /** The kernel loses a shared context entry with each function that goes, see fragile.ts. */
  readonly fragile: boolean
  /** nvme's probe leaves the work to a task of its own, as it did before 6.2. */
  readonly probesLate: boolean
  /** It did, and no function has come since. So it is at the start: all newcomers have come and gone. */
  entryLost = true
  /** Group slots that are in a container, by their names. */
  readonly #containerOf = new Map<string, string>()
  readonly #iommuSet = new Set<string>()

  /** @param release of the running kernel */
  constructor(
    universe: Universe,
    random: Random,
    { performer, state }: { readonly performer: Performer; readonly state: VisibleState },
    release: string,
  ) {
    this.universe = universe
    this.random = random
    this.performer = performer
    this.state = state
    this.fragile = release.startsWith('6.1.')
    this.probesLate = this.fragile
  }

  /** Addresses of all functions there are. */
  functions(): readonly string[] {
    return [...this.state.keys()].flatMap((name) =>
      name.endsWith(' driver') ? [name.slice(0, -' driver'.length)] : [],
    )
  }

  /** What a file of a function holds, without its newline; nothing when it has none. */
  value(address: string, file: string): string | undefined {
    return this.state.get(`${address} ${file}`)?.trim()
  }

  /** Driver of a function; nothing when it has none. */
  driver(address: string): string | undefined {
    const driver = this.value(address, 'driver')
    return driver === 'ENOENT' ? undefined : driver
  }

  groups(): readonly string[] {
    return [...this.state.keys()].flatMap((name) => /^group (\d+) devices$/.exec(name)?.[1] ?? [])
  }

  /** Functions that share a requester id. */
  #sharing(): readonly string[] {
    const { above, sharedBus } = this.universe
    return this.functions().filter((one) => above[one] === sharedBus.bridge)
  }

  /** Whether a function is a virtual one. */
  isVirtual(address: string): boolean {
    return Object.values(this.universe.virtual).some((virtual) => virtual.includes(address))
  }

  /** Members of a group that are not bridges: what a user can have. */
  endpoints(group: string): readonly string[] {
    const members = this.state.get(`group ${group} devices`)?.split(' ') ?? []
    const { bridges, ignored } = this.universe
    return members.filter((one) => one !== '' && !bridges.has(one) && !ignored.has(one))
  }

  slots(table: SlotName[0]): readonly SlotName[] {
    return Array.from({ length: SLOT_COUNTS[table] }, (_, index) => [table, index] as const)
  }

  /** Slots that hold an open file, of that name if one is given. */
  open(table: SlotName[0], name?: string): readonly SlotName[] {
    return this.slots(table).filter((slot) => {
      const file = this.performer.file(slot)
      return file !== undefined && (name === undefined || file.name === name)
    })
  }

  empty(table: SlotName[0]): readonly SlotName[] {
    return this.slots(table).filter((slot) => this.performer.file(slot) === undefined)
  }

  containerOf(group: SlotName): string | undefined {
    return this.#containerOf.get(group.join(' '))
  }

  /** A group is a user's as long as one of its descriptors or of its devices' is open. */
  isClaimed(group: string): boolean {
    const slots = this.open('group', `/dev/vfio/${group}`)
    if (slots.some((slot) => this.containerOf(slot) !== undefined)) return true
    return this.endpoints(group).some((one) => this.open('device', one).length > 0)
  }

  hasIommu(container: string): boolean {
    return this.#iommuSet.has(container)
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.random.between(0, items.length - 1)]
  }

  /** Takes notice of a step that was done. */
  learn(operation: Operation, outcome: Outcome, state: VisibleState): void {
    const before = this.#sharing()
    this.state = state
    const after = this.#sharing()
    if (before.some((one) => !after.includes(one))) this.entryLost = true
    if (after.some((one) => !before.includes(one))) this.entryLost = false
    if (operation.kind === 'ioctl' && operation.request === GROUP_REQUEST.setContainer) {
      const file = this.performer.file(operation.on)?.name ?? ''
      this.hasty.delete(file.slice('/dev/vfio/'.length))
    }
    if (outcome.error !== undefined) return
    if (operation.kind === 'plug') this.plugged.add(operation.newcomer)
    if (operation.kind === 'unplug') this.plugged.delete(operation.newcomer)
    if (operation.kind === 'close') {
      this.#containerOf.delete(operation.slot.join(' '))
      if (operation.slot[0] === 'container') this.#iommuSet.delete(operation.slot.join(' '))
    }
    if (operation.kind !== 'ioctl') return
    const on = operation.on.join(' ')
    if (operation.request === CONTAINER_REQUEST.setIommu) this.#iommuSet.add(on)
    if (operation.request === GROUP_REQUEST.unsetContainer) this.#containerOf.delete(on)
    if (operation.request === GROUP_REQUEST.setContainer && 'hex' in operation.argument) {
      const [patch] = operation.argument.patches
      if (patch?.put === 'descriptor') this.#containerOf.set(on, patch.of.join(' '))
    }
  }
}
