/**
 * Every interleaving: a search over all states that a small world can reach.
 *
 * A world is real code in an unusual hand: at each state it offers choices (start this operation, let
 * that thread go on), takes one, and says what it looks like. Threads are generators, which cannot be
 * copied, so a state is reached again by running the choices that led to it from the start; worlds are
 * therefore small and quick to make. States that look alike are visited once.
 *
 *     root --choice--> state --choice--> state ...      seen: by key; a path back to the root: by parent
 *
 * States are taken up in the order they were found, but from each the search runs on as deep as it finds
 * new ones, since every step taken in a running world saves a run from the start. When something is wrong
 * somewhere, a second search, breadth first and no deeper, finds a shortest way there.
 */
import { createHash } from 'node:crypto'

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
  /** Strictly by distance from the start: slower, and what is found first is nearest. */
  readonly breadthFirst?: boolean
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
  /** Every reachable state was visited: no limit stopped the search anywhere. */
  readonly complete: boolean
  /** A shortest one. */
  readonly counterExample: CounterExample | null
}

interface Visited {
  readonly parent: Visited | null
  readonly choice: string
  readonly depth: number
  /** Choices not taken yet. */
  left: readonly string[]
}

interface Search {
  readonly make: () => World
  readonly limits: Limits
  /** Run on from a state as long as new ones are found; else strictly by distance from the root. */
  readonly runOn: boolean
  readonly seen: Set<string>
  readonly queue: Visited[]
  transitions: number
  depth: number
  cut: boolean
}

export function explore(make: () => World, limits: Limits): Exploration {
  const runOn = limits.breadthFirst !== true
  const search = newSearch(make, limits, runOn)
  const found = run(search)
  const { transitions, depth, cut } = search
  const states = search.seen.size
  const complete = found === null && !cut
  const counterExample = found !== null && runOn ? shortest(make, found, limits.states) : found
  return { states, transitions, depth, complete, counterExample }
}

/** @param found some way to something wrong: no shorter way is longer than it */
function shortest(make: () => World, found: CounterExample, states: number): CounterExample {
  const depth = found.path.length - 1
  if (depth < 0) return found
  return run(newSearch(make, { states, depth }, false)) ?? found
}

function newSearch(make: () => World, limits: Limits, runOn: boolean): Search {
  const base = { seen: new Set<string>(), queue: [], transitions: 0, depth: 0, cut: false }
  return { make, limits, runOn, ...base }
}

/** @returns the first thing found wrong; null when nothing is, as far as the limits let it look */
function run(search: Search): CounterExample | null {
  const { make, queue, seen } = search
  const first = make()
  const wrong = fault(first)
  if (wrong !== null) return { path: [], violation: wrong }
  seen.add(digest(first))
  queue.push({ parent: null, choice: '', depth: 0, left: first.choices() })
  for (let next = 0; next < queue.length; next += 1) {
    const state = queue[next]
    while (state !== undefined && state.left.length > 0) {
      if (state.depth >= search.limits.depth || seen.size >= search.limits.states) {
        search.cut = true
        break
      }
      const found = follow(search, state)
      if (found !== null) return found
    }
  }
  return null
}

/** Takes the next choice of a state, and runs on from there. */
function follow(search: Search, from: Visited): CounterExample | null {
  const { seen, queue, limits } = search
  const world = replay(search.make, from)
  let at = from
  for (;;) {
    const [choice, ...left] = at.left
    if (choice === undefined || at.depth >= limits.depth || seen.size >= limits.states) return null
    at.left = left
    // Looking at a state may warm caches; looking before the step makes stale ones visible after it.
    world.violation()
    world.take(choice)
    search.transitions += 1
    const child: Visited = { parent: at, choice, depth: at.depth + 1, left: [] }
    const violation = fault(world)
    if (violation !== null) return { path: pathOf(child), violation }
    const key = digest(world)
    if (seen.has(key)) return null
    seen.add(key)
    child.left = world.choices()
    search.depth = Math.max(search.depth, child.depth)
    queue.push(child)
    if (!search.runOn) return null
    at = child
  }
}

/** 160 bits stand for a key of a thousand letters: a million states need memory for a million of these. */
function digest(world: World): string {
  return createHash('sha1').update(world.key()).digest('base64')
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
