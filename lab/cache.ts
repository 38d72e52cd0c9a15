/**
 * The lab's cache: kernels and initial file systems that take seconds to fetch or build, kept
 * between runs, and the saved evidence of failing machines.
 *
 * Invariant: a path that exists in the cache is complete. Everything is made under a temporary name
 * in the same directory and renamed into place, so an interrupted run leaves only rubbish with a
 * `.partial-` prefix, which the next run removes once it is old.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

const partialPrefix = '.partial-'
const partialAgeMsMax = 3_600_000

let partialCount = 0

/** The nearest directory at or above `from` whose package.json names this project. */
export function findProjectRoot(from: string = process.cwd()): string {
  for (let directory = resolve(from); ; directory = dirname(directory)) {
    const manifest = join(directory, 'package.json')
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly name?: string }
      if (name === 'isogroup') return directory
    }
    if (dirname(directory) === directory) {
      throw new Error(`no isogroup project at or above ${from}: run the lab inside the project`)
    }
  }
}

/** Where the cache lives: ISOGROUP_LAB_CACHE, or `.lab-cache` in the project. */
export function cacheDirectory(projectRoot: string): string {
  const chosen = process.env['ISOGROUP_LAB_CACHE']
  return chosen === undefined || chosen === '' ? join(projectRoot, '.lab-cache') : resolve(chosen)
}

/**
 * Returns `path` when it exists; otherwise makes it with `make`, which is given a temporary path
 * to create, and renames the result into place.
 */
export async function cached(
  path: string,
  make: (partial: string) => Promise<void>,
): Promise<string> {
  if (existsSync(path)) return path
  const directory = dirname(path)
  await mkdir(directory, { recursive: true })
  await removeOldPartials(directory)
  partialCount += 1
  const name = `${partialPrefix}${process.pid}-${partialCount}-${basename(path)}`
  const partial = join(directory, name)
  await make(partial)
  await rename(partial, path).catch(async (error: unknown) => {
    // Another run was faster: its result is as good as ours.
    await rm(partial, { recursive: true, force: true })
    if (!existsSync(path)) throw error
  })
  return path
}

async function removeOldPartials(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(partialPrefix)) continue
    const path = join(directory, name)
    const age = await stat(path).then(
      (found) => Date.now() - found.mtimeMs,
      () => 0,
    )
    if (age > partialAgeMsMax) await rm(path, { recursive: true, force: true })
  }
}
