/** Disjoint sets over addresses, keeping the join that merged two sets (a spanning forest). */
import type { Join } from './prediction.ts'

export interface Partition {
  /** Merges the sets of `join.device` and `join.joins`; true when they were apart. */
  join(join: Join): boolean
  /** One member that stands for the set. */
  leader(address: string): string
  /** Joins that merged something, in order. */
  readonly joins: readonly Join[]
}

export function partition(): Partition {
  const parents = new Map<string, string>()
  const joins: Join[] = []
  function leader(address: string): string {
    let top = address
    for (let up = parents.get(top); up !== undefined; up = parents.get(top)) top = up
    let at = address
    while (at !== top) {
      const next = parents.get(at) ?? top
      parents.set(at, top)
      at = next
    }
    return top
  }
  function join(edge: Join): boolean {
    const from = leader(edge.device)
    const to = leader(edge.joins)
    if (from === to) return false
    parents.set(from, to)
    joins.push(edge)
    return true
  }
  return { join, leader, joins }
}
