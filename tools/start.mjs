/**
 * `npm start`: from a fresh clone to this host's groups in one command.
 *
 * Installs and builds what is missing, then runs the program. What a newcomer sees, and what is shown
 * on a host without groups, is decided there (`isogroup start`), not here.
 */
import { join } from 'node:path'
import { buildCli, buildExamples } from './build.mjs'
import { root, run, runTool } from './project.mjs'
import { setUp } from './setup.mjs'

await runTool(async () => {
  await setUp()
  await buildCli()
  await buildExamples()
  const program = join(root, 'dist', 'cli', 'main.js')
  const args = [program, 'start', ...process.argv.slice(2)]
  const { code } = await run(process.execPath, args, { output: 'show', cwd: process.cwd() })
  return code
})
