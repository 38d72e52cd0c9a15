/** Parts of the lab that run in the guest, as files to be put there: bundles, and koffi beside them. */
import { join } from 'node:path'
import { build } from 'esbuild'

/** Relative to the project root, and to /app in the guest. */
export const TRACE_PROGRAM = '.build/lab-trace-guest.mjs'

/** What koffi needs at run time on the lab's only architecture. */
export const KOFFI: readonly string[] = [
  'node_modules/koffi/package.json',
  'node_modules/koffi/index.cjs',
  'node_modules/koffi/src/koffi/index.cjs',
  'node_modules/koffi/src/koffi/src/static.cjs',
  'node_modules/koffi/index.js',
  'node_modules/koffi/src/koffi/index.js',
  'node_modules/koffi/src/koffi/src/static.js',
  'node_modules/@koromix/koffi-linux-x64/package.json',
  'node_modules/@koromix/koffi-linux-x64/index.js',
  'node_modules/@koromix/koffi-linux-x64/linux_x64',
]

/** Bundles the program. @returns paths relative to the project root */
export async function buildTraceProgram(projectRoot: string): Promise<readonly string[]> {
  await bundleForGuest(projectRoot, 'lab/trace/guest.ts', TRACE_PROGRAM)
  return [TRACE_PROGRAM, ...KOFFI]
}

/** Both paths are relative to the project root; in the guest the bundle is at the same place below /app. */
export async function bundleForGuest(
  projectRoot: string,
  source: string,
  bundle: string,
): Promise<void> {
  await build({
    absWorkingDir: projectRoot,
    entryPoints: [source],
    outfile: join(projectRoot, bundle),
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'silent',
  })
}
