/**
 * A program that never ends: operations at random on two teaching devices, with a look now and then at whether anything
 * was left behind. The same on the model and in the lab; a seed tells all that is done.
 */
import assert from 'node:assert/strict'
import type { Context } from '../context.ts'
import { groupOf } from '../group-of.ts'
import { openContext } from '../open-context.ts'
import { type AccessWorld, IDENTIFICATION, PAGE, REG, ACKNOWLEDGE } from './world.case.ts'

export interface SoakOptions {
  readonly operations: number
  readonly seed: number
  /** Told after every round. */
  readonly progress?: (done: number, descriptors: number) => void
}

/** Operations between two looks: a context lives as long. */
const ROUND = 2000
const MAPPINGS_MAX = 200
const PAGES_MAX = 64
const LARGE = 2 * 2 ** 20

/** Whole numbers from 0 to below a bound, the same for the same seed (Numerical Recipes, 7.1). */
function numbersFrom(seed: number): (bound: number) => number {
  let state = seed >>> 0
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

/** @throws AssertionError: something was left behind, or answered wrong */
export async function soak(world: AccessWorld, options: SoakOptions): Promise<void> {
  const { operations, seed, progress = () => undefined } = options
  const below = numbersFrom(seed)
  const descriptors = (): number => world.kernel.list('/proc/self/fd').length
  const locked = (): string | undefined =>
    /^VmLck:.*$/m.exec(world.kernel.text('/proc/self/status'))?.[0]
  const before = locked()
  let settled = 0
  for (let done = 0; done < operations; done += ROUND) {
    await round(world, below, Math.min(ROUND, operations - done))
    // The first round loads what stays: native code, the watch of events.
    if (done === 0) settled = descriptors()
    assert.equal(descriptors(), settled, `descriptors after ${String(done)} operations`)
    assert.equal(locked(), before, `locked memory after ${String(done)} operations`)
    progress(Math.min(done + ROUND, operations), descriptors())
  }
}

type Below = (bound: number) => number

async function round(world: AccessWorld, below: Below, count: number): Promise<void> {
  const context = await openContext({ kernel: world.kernel }, [world.edu[0]])
  const room = JSON.stringify(context.ranges)
  try {
    for (let n = 0; n < count; n++) await operation(world, context, below)
    if (context.groups.length > 1) await context.removeGroup(world.edu[1])
    for (const mapping of context.mappings) context.unmap(mapping)
    assert.equal(JSON.stringify(context.ranges), room, 'addresses that can be mapped')
  } finally {
    await context.close()
  }
}

/** Mostly mapping, sometimes what is dear. */
async function operation(world: AccessWorld, context: Context, below: Below): Promise<void> {
  const what = below(100)
  if (what < 55) mapSome(context, below)
  else if (what < 80) unmapSome(context, below)
  else if (what < 95) touchRegisters(world, context)
  else if (what < 97) await takeInterrupt(world, context)
  else if (what < 99) await changeGroups(world, context)
  else await context.device(world.edu[0]).close()
}

function mapSome(context: Context, below: Below): void {
  if (context.mappings.length >= MAPPINGS_MAX) {
    for (const mapping of context.mappings) context.unmap(mapping)
  }
  const size = below(50) === 0 ? LARGE : (1 + below(PAGES_MAX)) * PAGE
  const memory = context.allocate(size)
  const { iova } = context.map(memory, below(2) === 0 ? {} : { direction: 'to-device' })
  assert.equal(iova % PAGE, 0)
}

function unmapSome(context: Context, below: Below): void {
  const { mappings } = context
  const mapping = mappings[below(mappings.length)]
  if (mapping === undefined) return
  context.unmap(mapping)
  for (const { memory } of mapping.parts) if (memory.mapped === 0) memory.release()
}

function touchRegisters({ edu }: AccessWorld, context: Context): void {
  const device = context.device(edu[0])
  device.enable()
  const bar = device.bar(0)
  assert.equal(bar.read32(REG.id), IDENTIFICATION)
  bar.write32(REG.inverted, 0x1234_5678)
  assert.equal(bar.read32(REG.inverted), ~0x1234_5678 >>> 0)
}

async function takeInterrupt({ edu }: AccessWorld, context: Context): Promise<void> {
  const device = context.device(edu[0])
  device.enable()
  const bar = device.bar(0)
  const interrupts = device.interrupts('msi')
  bar.write32(REG.raise, 1)
  assert.equal(await interrupts.vector(0).next(), 1)
  bar.write32(ACKNOWLEDGE, 1)
  interrupts.close()
}

async function changeGroups({ kernel, edu }: AccessWorld, context: Context): Promise<void> {
  const other = groupOf(kernel, edu[1])
  if (context.groups.includes(other)) await context.removeGroup(other)
  else await context.addGroup(other)
}
