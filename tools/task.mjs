/**
 * Runs a tool written in TypeScript: `node tools/task.mjs FILE.ts [ARGUMENT...]`.
 *
 * Node 20 cannot run TypeScript, so the file and what it imports from the project become one module
 * in .build/, one level below the project's root like bench/, lab/ and tools/ themselves: a path
 * relative to import.meta.url means the same bundled and unbundled.
 */
import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { isMain, root, run, runTool, ToolError } from './project.mjs'
import { setUp } from './setup.mjs'

/** @returns {Promise<string>} path of the bundled module */
export async function bundleTask(file) {
  const source = resolve(root, file)
  if (!existsSync(source)) throw new ToolError(`Cannot run ${file}: there is no such file`)
  const { build } = await import('esbuild')
  const outfile = join(
    root,
    '.build',
    relative(root, source).replace(/\.ts$/, '.mjs').replaceAll('/', '-'),
  )
  await build({
    absWorkingDir: root,
    entryPoints: [source],
    outfile,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: 'inline',
    logLevel: 'silent',
  }).catch((failure) => {
    throw new ToolError(`Cannot run ${file}: ${failure.message}`)
  })
  return outfile
}

async function main() {
  const [file, ...args] = process.argv.slice(2)
  if (file === undefined) throw new ToolError('Usage: node tools/task.mjs FILE.ts [ARGUMENT...]')
  await setUp()
  const module = await bundleTask(file)
  const command = ['--enable-source-maps', module, ...args]
  const { code } = await run(process.execPath, command, { output: 'show', cwd: process.cwd() })
  return code
}

if (isMain(import.meta.url)) await runTool(main)
