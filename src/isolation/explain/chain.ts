/** Ways through the joins of one predicted group: breadth first, so that the nearest come first. */
import type { Join } from '../groups/prediction.ts'

interface Step {
  readonly join: Join
  /** The step before; null at the start. */
  readonly before: Step | null
}

/** The joins that lead from one device to another; null when they are not connected. */
export function chainBetween(
  joins: readonly Join[],
  from: string,
  to: string,
): readonly Join[] | null {
  if (from === to) return []
  for (const { device, step } of walk(joins, from)) {
    if (device !== to) continue
    const chain: Join[] = []
    for (let at: Step | null = step; at !== null; at = at.before) chain.push(at.join)
    return chain.reverse()
  }
  return null
}

/** All joins that hang together with a device, nearest first. */
export function joinsAround(joins: readonly Join[], from: string): readonly Join[] {
  return [...walk(joins, from)].map(({ step }) => step.join)
}

function* walk(
  joins: readonly Join[],
  from: string,
): Generator<{ readonly device: string; readonly step: Step }> {
  const edges = new Map<string, Join[]>()
  for (const join of joins) {
    for (const end of [join.device, join.joins]) {
      const list = edges.get(end)
      if (list === undefined) edges.set(end, [join])
      else list.push(join)
    }
  }
  const seen = new Set([from])
  const queue: { device: string; step: Step | null }[] = [{ device: from, step: null }]
  for (const { device, step: before } of queue) {
    for (const join of edges.get(device) ?? []) {
      const next = join.device === device ? join.joins : join.device
      if (seen.has(next)) continue
      seen.add(next)
      const step = { join, before }
      queue.push({ device: next, step })
      yield { device: next, step }
    }
  }
}
