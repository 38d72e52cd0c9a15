/** A guest of the lab to measure in: the built program, one of ours bundled for it, and one in C beside it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory, findProjectRoot } from '../lab/cache.ts'
import { bootGuest, type Guest } from '../lab/guest.ts'
import { fetchKernel } from '../lab/kernels.ts'
import { prepareHost } from '../lab/packages.ts'
import type { Machine } from '../lab/qemu.ts'
import { bundleForGuest, KOFFI } from '../lab/trace/guest-program.ts'
import { compileC } from './compile-c.ts'

const KERNEL = '6.12'

/** Sources, and what becomes of them: paths in the project. In the guest they are below /app. */
export interface GuestPrograms {
  readonly ours: { readonly source: string; readonly built: string }
  readonly c: { readonly source: string; readonly built: string }
}

export async function buildForGuest({ ours, c }: GuestPrograms): Promise<void> {
  const projectRoot = findProjectRoot()
  mkdirSync(join(projectRoot, '.build'), { recursive: true })
  compileC(projectRoot, c.source, c.built)
  await bundleForGuest(projectRoot, ours.source, ours.built)
}

/** Installs what the lab needs, where it may. @throws Error: it lacks something */
export async function prepareLab(): Promise<void> {
  const readiness = await prepareHost()
  if (!readiness.ready) throw new Error(readiness.reason)
}

/** After prepareLab(). @param more files and folders of the project that the guest gets too */
export async function bootBenchGuest(
  machine: Machine,
  programs: GuestPrograms,
  more: readonly string[] = [],
): Promise<Guest> {
  await buildForGuest(programs)
  const projectRoot = findProjectRoot()
  const cacheRoot = cacheDirectory(projectRoot)
  const built = [programs.ours.built, programs.c.built]
  return bootGuest(machine, await fetchKernel(KERNEL, cacheRoot), {
    cacheRoot,
    program: {
      projectRoot,
      include: ['package.json', 'dist/cli', ...built, ...KOFFI, ...more],
      entry: 'dist/cli/main.js',
    },
  })
}
