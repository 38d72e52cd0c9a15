/**
 * Every interleaving: a breadth-first search over all states that a small world can reach.
 *
 * A world is real code in an unusual hand: at each state it offers choices (start this operation, let
 * that thread go on), takes one, and says what it looks like. Threads are generators, which cannot be
 * copied, so a state is reached again by running the choices that led to it from the start; worlds are
 * therefore small and quick to make. States that look alike are visited once.
 *
 *     root --choice--> state --choice--> state ...      seen: by key; a path back to the root: by parent
 *
 * Breadth first, so the first violation found has a shortest path.
 */

/** One run of a world. Two worlds made by the same function and given the same choices are in the same state. */
export interface World {
  /** Names of what may happen next, in a fixed order. Empty = nothing can happen. */
  choices(): readonly string[]
  take(choice: string): void
  /** Everything that decides what can still happen, as text. Equal keys = equal futures. */
  key(): string
  /** What is wrong in this state, or with the step that led here; null when nothing is. */
  violation(): string | null
  /** Whether nothing is under way: a state without choices that is not at rest is a deadlock. */
  atRest(): boolean
}

export interface Limits {
  /** Stops when so many distinct states were visited. */
  readonly states: number
  /** Longest path. */
  readonly depth: number
}

export interface CounterExample {
  readonly path: readonly string[]
  readonly violation: string
}

export interface Exploration {
  readonly states: number
  readonly transitions: number
  /** Length of the longest path taken. */
  readonly depth: number
  /** Every reachable state within the depth was visited. */
  readonly complete: boolean
  readonly counterExample: CounterExample | null
}

interface Visited {
  readonly parent: Visited | null
  readonly choice: string
  readonly depth: number
  choices: readonly string[]
}

export function explore(make: () => World, limits: Limits): Exploration {
  const first = make()
  const root: Visited = { parent: null, choice: '', depth: 0, choices: first.choices() }
  const seen = new Set([first.key()])
  const queue: Visited[] = [root]
  let transitions = 0
  let depth = 0
  const result = (counterExample: CounterExample | null, complete: boolean): Exploration => {
    return { states: seen.size, transitions, depth, complete, counterExample }
  }
  const wrong = fault(first)
  if (wrong !== null) return result({ path: [], violation: wrong }, false)
  let cut = false
  for (let at = queue[0], next = 1; at !== undefined; at = queue[next], next += 1) {
    if (at.depth >= limits.depth) {
      cut ||= at.choices.length > 0
      continue
    }
    for (const choice of at.choices) {
      if (seen.size >= limits.states) return result(null, false)
      const world = replay(make, at)
      const child: Visited = { parent: at, choice, depth: at.depth + 1, choices: [] }
      transitions += 1
      world.take(choice)
      const violation = fault(world)
      if (violation !== null) return result({ path: pathOf(child), violation }, false)
      const key = world.key()
      if (seen.has(key)) continue
      seen.add(key)
      child.choices = world.choices()
      depth = Math.max(depth, child.depth)
      queue.push(child)
    }
    // The choices of a visited state are not needed again.
    at.choices = []
  }
  return result(null, !cut)
}

function fault(world: World): string | null {
  const violation = world.violation()
  if (violation !== null) return violation
  if (world.choices().length > 0 || world.atRest()) return null
  return 'deadlock: something is under way and nothing can happen'
}

function replay(make: () => World, to: Visited): World {
  const world = make()
  for (const choice of pathOf(to)) world.take(choice)
  return world
}

function pathOf(state: Visited): readonly string[] {
  const path: string[] = []
  for (let at: Visited = state; at.parent !== null; at = at.parent) path.push(at.choice)
  return path.reverse()
}

/** The path as people read it, one step a line. */
export function describeCounterExample({ path, violation }: CounterExample): string {
  const steps = path.map((choice, n) => `${String(n + 1).padStart(3)}  ${choice}`)
  return [violation, `after ${String(path.length)} steps:`, ...steps].join('\n')
}
