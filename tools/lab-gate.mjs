/**
 * The lab as part of `npm test`: real kernels in a virtual machine, where that can run.
 *
 * lab/main.ts gets the path of a file in the variable ISOGROUP_LAB_RESULT and writes its counts there
 * when it ends: `{"passed": 12, "failed": 0, "skipped": 1}`. Its exit code is non-zero when something
 * failed. What it prints is passed on as it comes, because a run takes minutes.
 *
 * ISOGROUP_LAB=required makes every skip a failure (continuous integration), ISOGROUP_LAB=off leaves
 * the lab out. Either way the outcome is printed.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root, run } from './project.mjs'

/**
 * @returns {Promise<{ passed: number, failed: number, skipped: number, trouble: string | null,
 *   skippedBecause: string | null }>}
 */
export async function runLab() {
  const mode = process.env['ISOGROUP_LAB'] ?? 'auto'
  if (!['auto', 'required', 'off'].includes(mode)) {
    return failed(`ISOGROUP_LAB is "${mode}": say required, off, or leave it unset`)
  }
  if (mode === 'off') return skipped('ISOGROUP_LAB=off')
  const obstacle = whatPreventsTheLab()
  if (obstacle !== null) {
    return mode === 'required'
      ? failed(`ISOGROUP_LAB=required, but ${obstacle}`)
      : skipped(obstacle)
  }
  const result = join(root, '.build', 'lab-result.json')
  mkdirSync(dirname(result), { recursive: true })
  rmSync(result, { force: true })
  const { code } = await run(process.execPath, ['tools/task.mjs', 'lab/main.ts'], {
    output: 'show',
    env: { ISOGROUP_LAB_RESULT: result },
  })
  return judge(code, result, mode)
}

/** What a finished run counts for. */
export function judge(code, result, mode) {
  if (!existsSync(result)) return failed(`the lab ended with ${String(code)} and wrote no result`)
  const counts = JSON.parse(readFileSync(result, 'utf8'))
  const bad = ['passed', 'failed', 'skipped'].find((key) => !Number.isInteger(counts[key]))
  if (bad !== undefined) return failed(`the lab's result has no number "${bad}": ${result}`)
  const outcome = { ...counts, trouble: null, skippedBecause: null }
  if (mode === 'required' && counts.skipped > 0) {
    outcome.failed += counts.skipped
    outcome.skipped = 0
    outcome.trouble = `ISOGROUP_LAB=required, but the lab skipped ${String(counts.skipped)}`
  }
  if (counts.passed + counts.failed + counts.skipped === 0) return failed('the lab ran no case')
  if (code !== 0 && outcome.failed === 0) return failed(`the lab ended with ${String(code)}`)
  if (counts.failed > 0) outcome.trouble = `${String(counts.failed)} of the lab's cases failed`
  return outcome
}

/** What this machine lacks for the lab, or null. */
function whatPreventsTheLab() {
  if (!isDebianLike())
    return 'the lab installs QEMU and kernels with apt: it needs Debian or Ubuntu'
  if (process.getuid?.() !== 0) return 'the lab installs packages and mounts images: it needs root'
  return null
}

function isDebianLike() {
  try {
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'))
  } catch {
    return false
  }
}

function failed(trouble) {
  return { passed: 0, failed: 1, skipped: 0, trouble, skippedBecause: null }
}

function skipped(why) {
  return { passed: 0, failed: 0, skipped: 1, trouble: null, skippedBecause: why }
}
