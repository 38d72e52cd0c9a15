/**
 * One step of a trace as data: what is asked of the kernel, the same on a real one and on the model, and
 * what came of it. Descriptors and addresses differ between the two, so a step names slots and offsets,
 * and an outcome has no number that could differ by right.
 */

/** Open files are kept in numbered slots of four tables. */
export type SlotTable = 'container' | 'group' | 'device'
export type SlotName = readonly [table: SlotTable, index: number]

/** A number that only exists while the step runs, put into a buffer before the call and hidden after. */
export type Patch = { readonly at: number } & (
  | { readonly put: 'address'; readonly offset: number }
  | { readonly put: 'descriptor'; readonly of: SlotName }
  | { readonly put: 'counter'; readonly index: number }
)

export type Argument =
  | { readonly number: number }
  | { readonly hex: string; readonly patches: readonly Patch[] }

export type Operation =
  | { readonly kind: 'write'; readonly path: string; readonly text: string }
  /** A write that waits for devices in use; their descriptors are closed when its deadline passed. */
  | {
      readonly kind: 'blocked-write'
      readonly path: string
      readonly text: string
      readonly close: readonly SlotName[]
    }
  | { readonly kind: 'read'; readonly path: string }
  | { readonly kind: 'open'; readonly path: string; readonly slot: SlotName }
  | {
      readonly kind: 'open-device'
      readonly group: SlotName
      readonly name: string
      readonly slot: SlotName
    }
  | {
      readonly kind: 'ioctl'
      readonly on: SlotName
      readonly request: number
      readonly argument: Argument
    }
  | { readonly kind: 'close'; readonly slot: SlotName }
  | { readonly kind: 'take'; readonly counter: number }
  /** Done by who holds the hardware: QEMU's control socket, or the model's slots. */
  | { readonly kind: 'plug' | 'unplug'; readonly newcomer: string }

export type Outcome = {
  /** What the call gave; "descriptor" when it is one. */
  readonly value?: number | string
  /** Errno by name, or "EMPTY" when the slot named was empty and nothing was done. */
  readonly error?: string
  /** The buffer after the call, patches hidden. */
  readonly hex?: string
}

/** What can be seen of a kernel: names (mostly paths) and what they hold. */
export type VisibleState = ReadonlyMap<string, string>

/** One step as it was done: the state by what changed, null for what is gone. */
export type StepRecord = {
  readonly step: number
  readonly operation: Operation
  readonly outcome: Outcome
  readonly events: readonly string[]
  readonly changed: Readonly<Record<string, string | null>>
}

export function changes(
  before: VisibleState,
  after: VisibleState,
): Readonly<Record<string, string | null>> {
  const changed: Record<string, string | null> = {}
  for (const [name, value] of after) if (before.get(name) !== value) changed[name] = value
  for (const name of before.keys()) if (!after.has(name)) changed[name] = null
  return changed
}
