/**
 * A machine being changed, as a tree: root buses, and below them functions, each with what is plugged
 * below it. Plain data: tree.ts makes and edits it, bus-numbers.ts numbers it, slots.ts looks for room.
 */
import type { FunctionDescription } from '../description.ts'

export interface Root {
  readonly domain: number
  readonly bus: number
  readonly children: Branch[]
  /** Its buses were numbered depth first without gaps before any change. */
  wasGapless: boolean
}

/** One function with what is below it. */
export interface Branch {
  /** Everything but its place. */
  fn: FunctionDescription
  /** Its registers; edited in place. */
  config: Uint8Array
  /** Slot (0-31) and function (0-7) on its bus. */
  device: number
  function: number
  parent: Branch | null
  root: Root
  readonly children: Branch[]
  readonly isBridge: boolean
  /** Number of the bus behind a bridge; null = none, or firmware has to choose one. */
  secondary: number | null
  subordinate: number | null
  /** Address before the changes; null for an added function. */
  readonly original: string | null
  /** What changes call it: its address before them, or "new1". */
  readonly name: string
  /** It was added, or sits in another place than before, so that firmware wires it anew. */
  isMoved: boolean
}

export interface Tree {
  readonly roots: readonly Root[]
  /** By name. */
  readonly branches: Map<string, Branch>
}

/** A bridge (the bus behind it), or a root bus. */
export type Place = Branch | Root

export function isRoot(place: Place): place is Root {
  return !('parent' in place)
}

/** "0000:00:1c.0", or "0000:00" for a root bus. */
export function nameOf(place: Place): string {
  if (!isRoot(place)) return place.name
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
  return `${hex(place.domain, 4)}:${hex(place.bus, 2)}`
}

/** The branch itself comes first. */
export function withDescendants(branch: Branch): readonly Branch[] {
  return [branch, ...branch.children.flatMap(withDescendants)]
}

/** Every function of the machine. */
export function allBranches(tree: Tree): readonly Branch[] {
  return tree.roots.flatMap((root) => root.children.flatMap(withDescendants))
}
