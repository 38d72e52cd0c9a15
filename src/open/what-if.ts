/**
 * "What if": boots the twin of a host twice, as it is and as it would be, and gives both as hosts to look
 * at. Nothing happens to the host itself.
 *
 *     host --twinOf--> machine --boot--> before          a machine of the catalogue is its own twin
 *                         '--applyChanges--> machine --boot--> after
 */
import { IsogroupError } from '../base/errors.ts'
import { formatKernelVersion, type KernelVersion } from '../base/kernel-version.ts'
import type { Host, HostSnapshot } from '../isolation/host.ts'
import { deviceKindTexts, deviceTemplate } from '../model/hardware/devices/catalogue.ts'
import { applyChanges, type ChangedMachine } from '../model/machine/change/apply-changes.ts'
import type { Change } from '../model/machine/change/change.ts'
import { Refusal } from '../model/machine/change/refusal.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import { type BootedHost, bootedHost } from './model-host.ts'
import { builtInTwin } from './open-host.ts'
import { type Twin, twinOf } from './twin.ts'

export type { Change } from '../model/machine/change/change.ts'

export interface WhatIf {
  /** The machine as it is, booted on the model. */
  readonly before: Host
  readonly after: Host
  /** Name after the change by name before it, of every function; null = gone. */
  readonly addresses: ReadonlyMap<string, string | null>
  /** What was added, in the order of the changes. */
  readonly added: readonly AddedDevice[]
  /** How the changes were understood, and what of them the kernel did not take. */
  readonly notes: readonly string[]
  /** What was not known of the host, and how the twin has it. */
  readonly assumed: readonly string[]
  /** Devices that the host groups otherwise than the twin: about them the answer may be wrong. */
  readonly deviations: readonly string[]
}

export interface AddedDevice {
  /** What changes call it: "new1". */
  readonly name: string
  /** Kind of device. */
  readonly what: string
  readonly address: string
}

/** Devices that `add` knows. */
export function kindsToAdd(): readonly { readonly name: string; readonly text: string }[] {
  return deviceKindTexts()
}

/**
 * @param source what --host was given, of which `host` is opened
 * @param kernel version of both sides; null = the host's own
 * @throws IsogroupError `bad-change` when a change cannot be made, saying why and what could be
 */
export async function whatIf(
  source: string,
  host: Host,
  changes: readonly Change[],
  kernel: KernelVersion | null,
): Promise<WhatIf> {
  const { machine, assumed } = await machineOf(source, host, kernel)
  const changed = change(machine, changes)
  const before = bootedHost(machine)
  const after = bootedHost(changed.machine)
  const [old, fresh] = [before.host.snapshot(), after.host.snapshot()]
  const addresses = namesAfter(old, fresh, changed.addresses)
  const added = addedDevices(changes, changed.added)
  return {
    before: before.host,
    after: after.host,
    addresses,
    added,
    notes: [
      ...changed.notes,
      ...added.map(({ name, what, address }) => `${name} (${what}) is ${address}`),
      ...addressNotes(changed.addresses),
      ...unboundNotes(changes, addresses, fresh, after),
    ],
    assumed,
    deviations: deviations(host.snapshot(), old),
  }
}

/** A built-in machine is known already; everything else has a twin. */
async function machineOf(source: string, host: Host, kernel: KernelVersion | null): Promise<Twin> {
  const twin = source.startsWith('model:')
    ? await builtInTwin(source.slice('model:'.length))
    : twinOf(host)
  if (kernel === null) return twin
  return { ...twin, machine: { ...twin.machine, kernelRelease: formatKernelVersion(kernel) } }
}

function change(machine: MachineDescription, changes: readonly Change[]): ChangedMachine {
  try {
    return applyChanges(machine, changes, deviceTemplate)
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause
    throw new IsogroupError('bad-change', cause.why, cause.next, { cause })
  }
}

/** Those that a later change removed are left out. */
function addedDevices(
  changes: readonly Change[],
  places: ReadonlyMap<string, string>,
): readonly AddedDevice[] {
  const kinds = changes.flatMap((one) => (one.kind === 'add' ? [one.what] : []))
  return kinds.flatMap((what, n) => {
    const name = `new${String(n + 1)}`
    const address = places.get(name)
    return address === undefined ? [] : [{ name, what, address }]
  })
}

/** Virtual functions are made anew: the nth of a physical function stays the nth. */
function namesAfter(
  before: HostSnapshot,
  after: HostSnapshot,
  physical: ReadonlyMap<string, string>,
): ReadonlyMap<string, string | null> {
  const now = virtualFunctions(after)
  const virtual = new Map<string, string>()
  for (const [of, names] of virtualFunctions(before)) {
    const fresh = now.get(physical.get(of) ?? '') ?? []
    names.forEach((name, n) => {
      const address = fresh[n]
      if (address !== undefined) virtual.set(name, address)
    })
  }
  const present = new Set(after.functions.map(({ address }) => address))
  return new Map(
    before.functions.map(({ address }) => {
      const name = physical.get(address) ?? virtual.get(address)
      return [address, name !== undefined && present.has(name) ? name : null]
    }),
  )
}

const RENAMED_MAX = 6

function addressNotes(addresses: ReadonlyMap<string, string>): readonly string[] {
  // As texts, addresses of one domain sort as they should.
  const moved = [...addresses].filter(([old, now]) => old !== now).sort()
  if (moved.length === 0) return []
  const shown = moved.slice(0, RENAMED_MAX).map(([old, now]) => `${old} becomes ${now}`)
  const rest = moved.length - shown.length
  return [`${shown.join(', ')}${rest === 0 ? '' : ` and ${String(rest)} more`}`]
}

/** Names in the order of a snapshot, which is that of addresses, by their physical function. */
function virtualFunctions({ functions }: HostSnapshot): Map<string, string[]> {
  const lists = new Map<string, string[]>()
  for (const { address, physicalFunction } of functions) {
    if (!physicalFunction.known || physicalFunction.value === null) continue
    const list = lists.get(physicalFunction.value)
    if (list === undefined) lists.set(physicalFunction.value, [address])
    else list.push(address)
  }
  return lists
}

/**
 * Where the kernel did not do what `bind` says.
 * @throws IsogroupError `bad-change` when there is no driver of the name
 */
function unboundNotes(
  changes: readonly Change[],
  addresses: ReadonlyMap<string, string | null>,
  { functions }: HostSnapshot,
  { log, drivers }: BootedHost,
): readonly string[] {
  return changes.flatMap((wish) => {
    if (wish.kind !== 'bind' || wish.driver === null) return []
    const address = addresses.get(wish.device) ?? wish.device
    const fn = functions.find((one) => one.address === address)
    if (fn === undefined || (fn.driver.known && fn.driver.value === wish.driver)) return []
    if (!drivers.includes(wish.driver)) {
      const message = `no driver "${wish.driver}" is known of this machine`
      throw new IsogroupError('bad-change', message, `known are ${drivers.toSorted().join(', ')}`)
    }
    const line = log.find((text) => text.startsWith(`${address}: ${wish.driver} `))
    return [line ?? `${address} is not bound to ${wish.driver}`]
  })
}

/** Empty where the host tells no groups: a twin of such a host is a guess anyway, and says so. */
function deviations(host: HostSnapshot, twin: HostSnapshot): readonly string[] {
  if (!host.groups.known) return []
  const real = companions(host)
  const made = companions(twin)
  return [...real.keys()].filter((address) => real.get(address) !== made.get(address))
}

/** By function, the functions of its group in one text; '' for a function without a group. */
function companions({ functions }: HostSnapshot): ReadonlyMap<string, string> {
  const members = new Map<string, string[]>()
  for (const { address, group } of functions) {
    if (!group.known || group.value === null) continue
    const list = members.get(group.value)
    if (list === undefined) members.set(group.value, [address])
    else list.push(address)
  }
  const text = new Map([...members].map(([id, list]) => [id, list.join(' ')]))
  const pairs = functions.flatMap(({ address, group }): [string, string][] =>
    group.known ? [[address, group.value === null ? '' : (text.get(group.value) ?? '')]] : [],
  )
  return new Map(pairs)
}
