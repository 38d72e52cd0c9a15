/**
 * The guard among everything else: a claimed group, in which a card is plugged in and pulled out while users open
 * and close it and drivers are offered devices. The guard's own writes are the kernel's code like everybody's, with
 * all places where others may come in between; who is new and what is to be done comes from the code of the guard.
 *
 * What must hold besides the invariants of all worlds (invariants.ts):
 *
 *     guard    when the guard has nothing to do, no kernel driver has a device of the claimed group;
 *              a look that nobody disturbs leaves nothing to do;
 *              no device outside the group is ever on another driver than before
 */
import {
  type KeptGroup,
  newcomersOf,
  type PresentMember,
  withNewcomers,
  withoutGone,
} from '../src/isolation/ownership/kept-group.ts'
import { type Action, describeAction } from '../src/isolation/transaction/action.ts'
import { stepsTo } from '../src/isolation/transaction/steps.ts'
import { decodeUtf8, encodeUtf8 } from '../src/base/utf8.ts'
import { KernelError } from '../src/kernel/kernel.ts'
import { writesOf } from '../src/linux/actions.ts'
import { readGroupsOf, readGroupState, type StateView } from '../src/linux/group-state.ts'
import { readIdentities } from '../src/linux/identities.ts'
import { Errno } from '../src/model/errno.ts'
import type { Task } from '../src/model/task.ts'
import type { Operation, Run } from './model-run.ts'

const DRIVER = 'vfio-pci'

/** How a guard finds newcomers: of this project's, or of one with a mistake. */
export type FindNewcomers = typeof newcomersOf

/** What one guard knows and is doing. */
interface Guard {
  kept: KeptGroup
  readonly kernel: StateView
  /** Steps of the look under way that are still to be taken. */
  pending: readonly Action[]
  looking: boolean
  /** Somebody else did something during the look under way. */
  disturbed: boolean
  /** What others had outside the group in the beginning. */
  readonly outside: string
  wrong: string | null
  /** Whether there is something to do, as of a number of choices. */
  work: { readonly taken: number; readonly is: boolean } | null
}

const guards = new WeakMap<Run, Guard>()

/**
 * A guard of the group of one device, which is on vfio-pci when the story begins.
 * @param find how it finds newcomers
 */
export function guardOf(resident: string, find: FindNewcomers = newcomersOf): Operation {
  return {
    name: 'the guard looks',
    times: null,
    possible: (run) => hasWork(run, guardIn(run, resident), find),
    begin: (run) => look(run, guardIn(run, resident), find),
    others: (run) => {
      guardIn(run, resident).disturbed = true
    },
    memory: (run) => memoryOf(guardIn(run, resident)),
    violation: (run) => violationOf(run, guardIn(run, resident), find),
  }
}

function guardIn(run: Run, resident: string): Guard {
  const known = guards.get(run)
  if (known !== undefined) return known
  const kernel = viewOf(run)
  const before = readGroupState(kernel, [resident])
  const aimed = before.devices.map((device) => ({ ...device, driver: DRIVER, override: DRIVER }))
  const kept: KeptGroup = {
    before,
    target: { ...before, devices: aimed },
    members: readIdentities(kernel, [...membersOf(kernel, [resident]).keys()]),
    newcomers: [],
  }
  const guard: Guard = {
    ...{ kept, kernel, pending: [], looking: false, disturbed: false, wrong: null, work: null },
    outside: outsideOf(run, kernel, kept),
  }
  guards.set(run, guard)
  return guard
}

/** Files as they are at this moment: looking makes nobody go on. */
function viewOf({ model: { files }, user }: Run): StateView {
  const ask = <T>(path: string, question: () => T): T => {
    try {
      return question()
    } catch (cause) {
      if (cause instanceof Errno) throw new KernelError(cause.code, 'read', path)
      throw cause
    }
  }
  const text = (path: string): string => {
    const content = ask(path, () => files.read(path, user))
    return typeof content === 'string' ? content : decodeUtf8(content)
  }
  return {
    text,
    read: (path) => encodeUtf8(text(path)),
    link: (path) => ask(path, () => files.link(path, user)),
    list: (path) => ask(path, () => files.list(path, user)),
    exists: (path) => files.exists(path, user),
    stat: (path) => ask(path, () => files.owner(path, user)),
  }
}

function membersOf(kernel: StateView, addresses: readonly string[]): Map<string, string | null> {
  const members = readGroupsOf(kernel, addresses).flatMap((group) => group.members)
  return new Map(members.map(({ address, driver }) => [address, driver]))
}

function presentIn({ kernel, kept }: Guard): readonly PresentMember[] {
  const drivers = membersOf(
    kernel,
    kept.target.devices.map(({ address }) => address),
  )
  return readIdentities(kernel, [...drivers.keys()]).map((identity) => ({
    identity,
    driver: drivers.get(identity.address) ?? null,
  }))
}

function stepsOf({ kernel, kept }: Guard): readonly Action[] {
  const addresses = kept.target.devices.map(({ address }) => address)
  return stepsTo(kept.target, readGroupState(kernel, addresses))
}

/** Asked several times in each state. */
function hasWork(run: Run, guard: Guard, find: FindNewcomers): boolean {
  if (guard.work?.taken !== run.taken) guard.work = { taken: run.taken, is: isNeeded(guard, find) }
  return guard.work.is
}

function isNeeded(guard: Guard, find: FindNewcomers): boolean {
  const present = presentIn(guard)
  if (find(guard.kept, present).length > 0) return true
  const there = new Set(present.map(({ identity }) => identity.address))
  return withoutGone(guard.kept, there) !== guard.kept || stepsOf(guard).length > 0
}

/** As service/keep-group.ts does it: aim, remember, then step by step. */
function* look(run: Run, guard: Guard, find: FindNewcomers): Task<void> {
  guard.looking = true
  // The look itself is under way.
  guard.disturbed = run.busy > 1
  const present = presentIn(guard)
  const newcomers = find(guard.kept, present)
  const addresses = newcomers.map(({ identity }) => identity.address)
  for (const { identity, driver } of newcomers) {
    if (driver !== null) continue
    yield* take(run, { kind: 'set-override', address: identity.address, driver: DRIVER })
  }
  const there = new Set(present.map(({ identity }) => identity.address))
  const { devices } = readGroupState(guard.kernel, addresses)
  const identities = newcomers.map(({ identity }) => identity)
  guard.kept = withNewcomers(withoutGone(guard.kept, there), DRIVER, identities, devices)
  guard.pending = stepsOf(guard)
  for (let next = guard.pending[0]; next !== undefined; next = guard.pending[0]) {
    guard.pending = guard.pending.slice(1)
    yield* take(run, next)
  }
  guard.looking = false
  if (guard.disturbed || !isNeeded(guard, find)) return
  guard.wrong = `guard: a look that nobody disturbed left something to do: ${stepsOf(guard).map(describeAction).join(', ')}`
}

/** Errnos are answers; what they mean is seen by the next look. */
function* take({ model, user }: Run, action: Action): Task<void> {
  for (const { path, text } of writesOf(action)) {
    try {
      yield* model.files.write(path, encodeUtf8(text), user)
    } catch (error) {
      if (!(error instanceof Errno)) throw error
    }
  }
}

function memoryOf({ kept, pending, looking, disturbed }: Guard): string {
  return [
    ...kept.target.devices.map(({ address }) => address),
    ...kept.newcomers,
    ...pending.map(describeAction),
    ...(looking ? ['looking'] : []),
    ...(looking && disturbed ? ['disturbed'] : []),
  ].join(';')
}

function violationOf(run: Run, guard: Guard, find: FindNewcomers): string | null {
  if (guard.wrong !== null) return guard.wrong
  if (outsideOf(run, guard.kernel, guard.kept) !== guard.outside) {
    return 'guard: a device outside the claimed group has another driver'
  }
  if (run.busy > 0 || hasWork(run, guard, find)) return null
  const taken = presentIn(guard).find(
    ({ driver }) => driver !== null && driver !== DRIVER && driver !== 'pcieport',
  )
  if (taken === undefined) return null
  return `guard: nothing to do, and ${taken.driver ?? ''} has ${taken.identity.address} of the claimed group`
}

function outsideOf({ model }: Run, kernel: StateView, { target }: KeptGroup): string {
  const inside = membersOf(
    kernel,
    target.devices.map(({ address }) => address),
  )
  const lines: string[] = []
  for (const { name, driver } of model.pci.bus.devices.values()) {
    if (!inside.has(name) && driver !== null) lines.push(`${name} ${driver.name}`)
  }
  return lines.sort().join('\n')
}
