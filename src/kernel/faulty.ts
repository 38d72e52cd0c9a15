/**
 * A kernel on which things go wrong on purpose: for proving that whoever changes a host leaves it either as it
 * was or as it should be, whatever happens on the way.
 *
 *     errno   the n-th change fails; nothing happened
 *     late    the n-th change does not come back in time (ETIMEDOUT), and happened, did not, or happens later
 *     kill    the process ends at the n-th change, before or after it happened; nothing it does matters then
 *
 * Changes are writes, chown, chmod and loading modules, counted together from 1. What was looked at before a
 * change needs no crash of its own: looking leaves no traces.
 */
import { type EventSource, type Kernel, type KernelAction, KernelError } from './kernel.ts'

/** Counted from 1, or every change of a path that matches. */
export type Place = number | RegExp

export type Fault =
  | { readonly kind: 'errno'; readonly at: Place; readonly code: string }
  /** `later`: when the test calls `happen()`. */
  | { readonly kind: 'late'; readonly at: Place; readonly effect: 'done' | 'none' | 'later' }
  | { readonly kind: 'kill'; readonly at: Place; readonly effect: 'done' | 'none' }

/** What was asked for, in order, whether it happened or not. */
export interface Change {
  readonly action: KernelAction
  /** Name of the module for loading. */
  readonly path: string
  readonly bytes: Uint8Array | null
}

export interface FaultyKernel extends Kernel {
  readonly changes: readonly Change[]
  /** Whether the process has been killed: then every call throws Killed. */
  readonly killed: boolean
  /** From now on nothing comes back: for ends that are not at a change of the host. */
  kill(): void
  /** Lets the changes that were late happen now, one after the other. */
  happen(): Promise<void>
}

/**
 * The end of the process that was asking. No KernelError, so that nobody takes it for an answer of the kernel;
 * a test catches it where the process would have begun.
 */
export class Killed extends Error {
  constructor() {
    super('the process was killed here')
    this.name = 'Killed'
  }
}

interface World {
  readonly changes: Change[]
  readonly late: (() => Promise<void>)[]
  killed: boolean
}

/** @param faults the first that fits a change decides */
export function faulty(kernel: Kernel, faults: readonly Fault[] = []): FaultyKernel {
  const world: World = { changes: [], late: [], killed: false }
  const alive = <T>(ask: () => T): T => {
    if (world.killed) throw new Killed()
    return ask()
  }
  const change = (made: Change, make: () => Promise<void>): Promise<void> =>
    changed(world, faults, made, make)
  return {
    get changes() {
      return world.changes
    },
    get killed() {
      return world.killed
    },
    kill() {
      world.killed = true
    },
    async happen() {
      for (const make of world.late.splice(0)) await make().catch(onlyRefused)
    },
    read: (path, limit) => alive(() => kernel.read(path, limit)),
    text: (path, limit) => alive(() => kernel.text(path, limit)),
    link: (path) => alive(() => kernel.link(path)),
    list: (path) => alive(() => kernel.list(path)),
    exists: (path) => alive(() => kernel.exists(path)),
    stat: (path) => alive(() => kernel.stat(path)),
    write: (path, bytes, deadline) =>
      change({ action: 'write', path, bytes: bytes.slice() }, () =>
        kernel.write(path, bytes, deadline),
      ),
    setOwner: (path, uid, gid) =>
      change({ action: 'chown', path, bytes: null }, () => kernel.setOwner(path, uid, gid)),
    setMode: (path, mode) =>
      change({ action: 'chmod', path, bytes: null }, () => kernel.setMode(path, mode)),
    expectWrites: () => kernel.expectWrites(),
    loadModule: (name, deadline) =>
      change({ action: 'load', path: name, bytes: null }, () => kernel.loadModule(name, deadline)),
    open: async (path) => {
      const handle = await alive(() => kernel.open(path))
      return alive(() => handle)
    },
    handle: (descriptor, name) => alive(() => kernel.handle(descriptor, name)),
    memory: (length, pages) => alive(() => kernel.memory(length, pages)),
    eventCounter: () => alive(() => kernel.eventCounter()),
    events: () => alive(() => mortalEvents(world, kernel.events())),
  }
}

async function changed(
  world: World,
  faults: readonly Fault[],
  made: Change,
  make: () => Promise<void>,
): Promise<void> {
  if (world.killed) throw new Killed()
  const number = world.changes.push(made)
  const fault = faults.find(({ at }) =>
    typeof at === 'number' ? at === number : at.test(made.path),
  )
  if (fault?.kind === 'errno') throw new KernelError(fault.code, made.action, made.path)
  if (fault === undefined) await make()
  else if (fault.effect === 'done') await make().catch(onlyRefused)
  else if (fault.effect === 'later') world.late.push(make)
  if (fault?.kind === 'kill') world.killed = true
  // Killed meanwhile, by whatever: its answer reaches nobody.
  if (world.killed) throw new Killed()
  if (fault?.kind === 'late') throw new KernelError('ETIMEDOUT', made.action, made.path)
}

/** A change that the kernel refused changed nothing, and nobody hears of it. */
function onlyRefused(cause: unknown): void {
  if (!(cause instanceof KernelError)) throw cause
}

function beAlive(world: World): void {
  if (world.killed) throw new Killed()
}

function mortalEvents(world: World, events: EventSource): EventSource {
  return {
    close: () => events.close(),
    [Symbol.asyncIterator]() {
      const source = events[Symbol.asyncIterator]()
      return {
        async next() {
          beAlive(world)
          const result = await source.next()
          beAlive(world)
          return result
        },
      }
    },
  }
}
