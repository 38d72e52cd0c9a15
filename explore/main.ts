/**
 * `npm run explore [-- --states N] [--depth N] [--world NAME]`: every interleaving of the small worlds, up to
 * so many distinct states in all (a million unless said otherwise). Ends with 1 when an invariant does
 * not hold, and prints the shortest way there.
 */
import { parseArgs } from 'node:util'
import { describeCounterExample, explore } from './engine.ts'
import { worlds } from './model-run.ts'
import { WORLDS } from './worlds.ts'

const STATES = 1_000_000
const DEPTH = 100

const { values } = parseArgs({
  options: {
    states: { type: 'string', default: String(STATES) },
    depth: { type: 'string', default: String(DEPTH) },
    world: { type: 'string' },
  },
})

const chosen = WORLDS.filter(({ name }) => values.world === undefined || name === values.world)
if (chosen.length === 0) {
  const names = WORLDS.map(({ name }) => name).join(', ')
  process.stderr.write(`there is no world "${values.world ?? ''}"; there are ${names}\n`)
  process.exit(2)
}

let total = 0
for (const [n, plan] of chosen.entries()) {
  // What a small world does not need goes to the ones after it.
  const states = Math.ceil((Number(values.states) - total) / (chosen.length - n))
  const started = performance.now()
  const found = explore(worlds(plan), { states, depth: Number(values.depth) })
  total += found.states
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const extent = found.complete ? 'all there are' : `up to ${String(found.depth)} steps`
  process.stdout.write(
    `${plan.name}: ${String(found.states)} states (${extent}), ${String(found.transitions)} transitions, ${seconds} s\n`,
  )
  if (found.counterExample === null) continue
  process.stdout.write(`${describeCounterExample(found.counterExample)}\n`)
  process.exitCode = 1
}
process.stdout.write(`${String(total)} distinct states\n`)
