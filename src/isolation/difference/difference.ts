/**
 * Two assessments of one machine, before and after a change: which groups were taken apart or put
 * together, which devices came or went, and what became of strength and viability.
 *
 * Groups have no identity across a change (numbers mean nothing), so they are compared by their
 * members: before and after form a bipartite graph with an edge wherever two groups share a device,
 * and each connected piece of it is one difference, unless it is one group that stayed as it was.
 */
import type { Assessment } from '../assess/assess.ts'
import { STRENGTH_BITS, type Strength, type StrengthBit } from '../assess/strength.ts'
import type { Verdict } from '../assess/guarantee.ts'
import type { Viability } from '../assess/viability.ts'

/** One group, or one function without a group, on one side. */
export interface GroupState {
  /** Group number; null for a function without a group. */
  readonly id: string | null
  /** Names of the members on this side. */
  readonly devices: readonly string[]
  readonly strength: Strength
  /** Null without a group. */
  readonly viability: Viability | null
}

export interface StrengthChange {
  readonly bit: StrengthBit
  readonly before: Verdict
  readonly after: Verdict
  /** What the new verdict rests on. */
  readonly evidence: string
}

export interface Difference {
  /**
   * `regrouped`: the same devices in other groups; `added`, `removed`: devices came or went (and groups may
   * have changed with them); `changed`: same members, other strength or viability.
   */
  readonly kind: 'regrouped' | 'added' | 'removed' | 'changed'
  readonly before: readonly GroupState[]
  readonly after: readonly GroupState[]
  /** For a group that kept its members. */
  readonly strength: readonly StrengthChange[]
  readonly viability: { readonly before: string; readonly after: string } | null
}

/**
 * @param addresses the name after the change by the name before it, null for a device that is gone; names
 *   that are not in it stay. Another device may have the name of one that is gone.
 */
export function assessmentDifference(
  before: Assessment,
  after: Assessment,
  addresses: ReadonlyMap<string, string | null>,
): readonly Difference[] {
  const old = statesOf(before)
  const fresh = statesOf(after)
  const nameNow = (name: string): string => {
    const now = addresses.get(name)
    // No device has a name with a blank in it.
    return now === null ? `${name} gone` : (now ?? name)
  }
  const renamed = old.map((state) => state.devices.map(nameNow))
  return pieces(renamed, fresh)
    .map(({ left, right }) =>
      difference(
        left.flatMap((n) => old[n] ?? []),
        left.flatMap((n) => renamed[n] ?? []),
        right.flatMap((n) => fresh[n] ?? []),
      ),
    )
    .filter((found) => found !== null)
}

function statesOf({ groups, ungrouped }: Assessment): readonly GroupState[] {
  return [
    ...groups.map(({ id, members, others, unlisted, strength, viability }) => ({
      id,
      devices: [...members.map((node) => node.address), ...others.map((o) => o.name), ...unlisted],
      strength,
      viability,
    })),
    ...ungrouped.map(({ node, strength }) => ({
      id: null,
      devices: [node.address],
      strength,
      viability: null,
    })),
  ]
}

interface Piece {
  readonly left: readonly number[]
  readonly right: readonly number[]
}

/** Connected pieces, in the order of the first group of the new side, then what is only on the old one. */
function pieces(left: readonly (readonly string[])[], right: readonly GroupState[]): Piece[] {
  const leftOf = new Map<string, number>()
  left.forEach((names, n) => {
    for (const name of names) leftOf.set(name, n)
  })
  const rightOf = new Map<string, number>()
  right.forEach(({ devices }, n) => {
    for (const name of devices) rightOf.set(name, n)
  })
  const seenLeft = new Set<number>()
  const seenRight = new Set<number>()
  const grow = (startLeft: readonly number[], startRight: readonly number[]): Piece => {
    const piece = { left: [...startLeft], right: [...startRight] }
    for (const n of startLeft) seenLeft.add(n)
    for (const n of startRight) seenRight.add(n)
    for (let l = 0, r = 0; l < piece.left.length || r < piece.right.length; ) {
      if (r < piece.right.length) {
        const names = right[piece.right[r++] ?? 0]?.devices ?? []
        follow(names, leftOf, seenLeft, piece.left)
      } else {
        follow(left[piece.left[l++] ?? 0] ?? [], rightOf, seenRight, piece.right)
      }
    }
    return piece
  }
  const found: Piece[] = []
  right.forEach((_, n) => {
    if (!seenRight.has(n)) found.push(grow([], [n]))
  })
  left.forEach((_, n) => {
    if (!seenLeft.has(n)) found.push(grow([n], []))
  })
  return found
}

function follow(
  names: readonly string[],
  index: ReadonlyMap<string, number>,
  seen: Set<number>,
  into: number[],
): void {
  for (const name of names) {
    const n = index.get(name)
    if (n === undefined || seen.has(n)) continue
    seen.add(n)
    into.push(n)
  }
}

/** @param renamed names of the old side as the new side has them @returns null when nothing differs */
function difference(
  before: readonly GroupState[],
  renamed: readonly string[],
  after: readonly GroupState[],
): Difference | null {
  const present = new Set(after.flatMap(({ devices }) => devices))
  const known = new Set(renamed)
  const came = [...present].some((name) => !known.has(name))
  const went = renamed.some((name) => !present.has(name))
  const [old] = before
  const [fresh] = after
  const same = before.length === 1 && after.length === 1 && !came && !went
  if (
    same &&
    old !== undefined &&
    fresh !== undefined &&
    (old.id === null) === (fresh.id === null)
  ) {
    const strength = strengthChanges(old.strength, fresh.strength)
    const viability = viabilityChange(old.viability, fresh.viability)
    if (strength.length === 0 && viability === null) return null
    return { kind: 'changed', before, after, strength, viability }
  }
  const kind = came ? 'added' : went ? 'removed' : 'regrouped'
  return { kind, before, after, strength: [], viability: null }
}

function strengthChanges(before: Strength, after: Strength): readonly StrengthChange[] {
  return STRENGTH_BITS.filter((bit) => before[bit].verdict !== after[bit].verdict).map((bit) => ({
    bit,
    before: before[bit].verdict,
    after: after[bit].verdict,
    evidence: after[bit].evidence,
  }))
}

function viabilityChange(
  before: Viability | null,
  after: Viability | null,
): Difference['viability'] {
  if (before === null || after === null) return null
  if (before.verdict === after.verdict && before.owner === after.owner) return null
  return { before: viabilityWords(before), after: viabilityWords(after) }
}

/** "viable", "not-viable (kernel)": verdict and who has it. */
function viabilityWords({ verdict, owner }: Viability): string {
  return `${verdict} (${owner})`
}
