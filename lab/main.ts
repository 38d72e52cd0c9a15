/**
 * `npm run lab -- [options]`: boots real kernels and holds the program's answers against theirs.
 * The last line on stdout is a JSON object with the counts, which is also written to the file that
 * ISOGROUP_LAB_RESULT names. Exit code 1 when a case failed, 2 for a command line not understood.
 */
import { writeFileSync } from 'node:fs'
import { labUsage, type LabOptions, parseLabOptions } from './options.ts'
import { runLab } from './run-lab.ts'

async function main(): Promise<number> {
  let options: LabOptions
  try {
    options = parseLabOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${labUsage}`)
    return 2
  }
  const counts = await runLab(options)
  const result = `${JSON.stringify(counts)}\n`
  const resultFile = process.env['ISOGROUP_LAB_RESULT']
  if (resultFile !== undefined && resultFile !== '') writeFileSync(resultFile, result)
  process.stdout.write(result)
  return counts.failed === 0 ? 0 : 1
}

// Leaving through exit() lets the guests' exit handlers end QEMU and remove their files.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => process.exit(130))
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`lab: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
