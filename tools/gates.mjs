/**
 * The gates of `npm test`, in the order they run. Each is one question about the project with a yes
 * or a no: `run` returns what failed, or null.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildCli, buildExamples, buildLibrary } from './build.mjs'
import { checkPackage } from './package-check.mjs'
import { root, run } from './project.mjs'

/** What the gates print is read in files and on screens alike. */
const PLAIN = { NO_COLOR: '1', FORCE_COLOR: undefined }

/** Gates that need nothing but the clone and its dependencies. */
export const GATES = [
  { name: 'build', run: buildAll },
  { name: 'format', run: () => runBin('@biomejs/biome/bin/biome', ['format', '.']) },
  { name: 'lint', run: () => runBin('eslint/bin/eslint.js', ['--max-warnings', '0', '.']) },
  { name: 'types', run: () => runBin('typescript/bin/tsc', ['--noEmit', '-p', 'tsconfig.json']) },
  {
    name: 'types of the layers without Node',
    run: () => runBin('typescript/bin/tsc', ['-p', 'tsconfig.pure.json']),
  },
  { name: 'layers', run: () => runNode(['tools/layers.mjs']) },
  { name: 'dead code', run: () => runBin('knip/bin/knip.js', ['--no-progress']) },
  { name: 'package', run: checkPackage },
]

async function buildAll() {
  try {
    await buildCli()
    await buildLibrary()
    await buildExamples()
    return null
  } catch (error) {
    return error.message
  }
}

/** Distinct states of the small worlds that every run of the tests visits. */
const STATES = 100_000

/** @returns {Promise<{ passed: number, failed: number, skipped: number, trouble: string | null }>} */
export async function runExplorer() {
  const search = [process.execPath, 'tools/task.mjs', 'explore/main.ts', '--states', String(STATES)]
  const trouble = await runCommand('nice', ['-n', '19', ...search])
  const passed = trouble === null ? 1 : 0
  return { passed, failed: 1 - passed, skipped: 0, trouble }
}

/** Runs a program of a dependency without npm in between. */
function runBin(file, args) {
  return runNode([join('node_modules', file), ...args])
}

function runNode(args) {
  return runCommand(process.execPath, args)
}

async function runCommand(command, args) {
  const { code, output } = await run(command, args, { env: PLAIN })
  return code === 0 ? null : `${output.trim()}\n(exit code ${String(code)})`
}

/**
 * Unit and property tests. A run without a single executed test is a failure of its own: a wrong
 * pattern must not look like success.
 * @returns {Promise<{ passed: number, failed: number, skipped: number, trouble: string | null }>}
 */
export async function runUnitTests() {
  const report = join(root, '.build', 'vitest.json')
  const vitest = join('node_modules', 'vitest', 'vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  rmSync(report, { force: true })
  const { code, output } = await run(process.execPath, [vitest, 'run', ...reporters], {
    env: PLAIN,
  })
  const counts = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {}
  const passed = counts.numPassedTests ?? 0
  const failed = counts.numFailedTests ?? 0
  const skipped = (counts.numPendingTests ?? 0) + (counts.numTodoTests ?? 0)
  const none = passed + failed === 0
  // A test file that cannot be loaded fails the run without a failed test.
  const unseen = (code !== 0 && failed === 0) || none ? 1 : 0
  const trouble = none ? `${output.trim()}\nno test was executed` : output.trim()
  return { passed, failed: failed + unseen, skipped, trouble: code === 0 && !none ? null : trouble }
}
