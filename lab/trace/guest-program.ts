/** The guest's part of a trace as files to be put there: one bundle, and koffi beside it. */
import { join } from 'node:path'
import { build } from 'esbuild'

/** Relative to the project root, and to /app in the guest. */
export const TRACE_PROGRAM = '.build/lab-trace-guest.mjs'

/** What koffi needs at run time on the lab's only architecture. */
const KOFFI: readonly string[] = [
  'node_modules/koffi/package.json',
  'node_modules/koffi/index.js',
  'node_modules/koffi/src/koffi/index.js',
  'node_modules/koffi/src/koffi/src/static.js',
  'node_modules/@koromix/koffi-linux-x64/package.json',
  'node_modules/@koromix/koffi-linux-x64/index.js',
  'node_modules/@koromix/koffi-linux-x64/linux_x64',
]

/** Bundles the program. @returns paths relative to the project root */
export async function buildTraceProgram(projectRoot: string): Promise<readonly string[]> {
  await build({
    absWorkingDir: projectRoot,
    entryPoints: ['lab/trace/guest.ts'],
    outfile: join(projectRoot, TRACE_PROGRAM),
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'silent',
  })
  return [TRACE_PROGRAM, ...KOFFI]
}
