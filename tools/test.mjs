/**
 * `npm test`: everything that is checked, from a fresh clone, in one command.
 *
 * Every gate runs whatever happened to the ones before it, prints one line, and counts as one test;
 * unit tests and the lab count what they executed. The last line is `N passed, N failed, N skipped`.
 */
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { GATES, runExplorer, runUnitTests } from './gates.mjs'
import { runLab } from './lab-gate.mjs'
import { root, runTool } from './project.mjs'
import { setUp } from './setup.mjs'

const total = { passed: 0, failed: 0, skipped: 0 }

await runTool(async () => {
  const started = performance.now()
  const ready = await setUpOrSayWhy()
  if (ready) await runEverything()
  process.stdout.write(`${seconds(started)} in all\n`)
  process.stdout.write(
    `${String(total.passed)} passed, ${String(total.failed)} failed, ${String(total.skipped)} skipped\n`,
  )
  return total.failed === 0 ? 0 : 1
})

async function setUpOrSayWhy() {
  const started = performance.now()
  try {
    await setUp()
    return true
  } catch (error) {
    total.failed += 1
    print('FAIL', 'set-up', started, error.message)
    return false
  }
}

async function runEverything() {
  mkdirSync(join(root, '.build'), { recursive: true })
  const [build, ...others] = GATES
  await pass(build)
  // Most of what they do is done by one processor.
  const waiting = [...others]
  const worker = async () => {
    for (let gate = waiting.shift(); gate !== undefined; gate = waiting.shift()) await pass(gate)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  // The search takes what the others leave: guests of the lab wait a good part of their time.
  const search = count('every interleaving, 100,000 states', runExplorer)
  await count('unit and property tests', runUnitTests)
  await count('lab: real kernels', runLab)
  await search
}

async function pass(gate) {
  await count(gate.name, async () => {
    const trouble = await gate.run()
    return trouble === null
      ? { passed: 1, failed: 0, skipped: 0, trouble: null }
      : { passed: 0, failed: 1, skipped: 0, trouble }
  })
}

async function count(name, action) {
  const started = performance.now()
  const outcome = await action().catch((error) => ({
    passed: 0,
    failed: 1,
    skipped: 0,
    trouble: String(error?.stack ?? error),
  }))
  total.passed += outcome.passed
  total.failed += outcome.failed
  total.skipped += outcome.skipped
  const skippedBecause = outcome.skippedBecause ?? null
  const verdict = outcome.failed > 0 ? 'FAIL' : skippedBecause === null ? 'ok' : 'skip'
  const executed = outcome.passed + outcome.failed
  const label = executed > 1 ? `${name} (${String(executed)})` : name
  print(
    verdict,
    skippedBecause === null ? label : `${label}: ${skippedBecause}`,
    started,
    outcome.trouble,
  )
}

function print(verdict, label, started, trouble) {
  process.stdout.write(`${verdict.padEnd(4)}  ${label}  ${seconds(started)}\n`)
  if (trouble === null || trouble === undefined) return
  process.stdout.write(`${trouble.replace(/^/gm, '      ')}\n`)
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
