/**
 * The guest's root file system, all of it in memory: busybox, the modules of one kernel, Node with
 * its shared libraries, and the built program.
 *
 * Two archives, concatenated at each boot: a large base that depends on the kernel and on Node, kept
 * in the cache under a hash of its ingredients, and the program, which changes all the time. Neither
 * is compressed: unpacking 130 MB under emulation costs 0.3 s, decompressing it several seconds.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { cpioArchive, type CpioEntry, withParents } from './cpio.ts'
import { busyboxLinks, guestGroup, guestInit, guestPasswd, guestProgramRoot } from './guest-init.ts'
import type { Kernel } from './kernels.ts'
import { moduleEntries, wantedModules } from './modules.ts'
import { requireProgram } from './packages.ts'
import { runOrThrow } from './process.ts'

/** What is run in the guest: folders and files of the project, and the script behind `isogroup`. */
export type GuestProgram = {
  readonly projectRoot: string
  /** Paths relative to the project root, copied to the same place below /app. */
  readonly include: readonly string[]
  /** The script that the guest's `isogroup` command starts, relative to the project root. */
  readonly entry: string
}

/** Path of the base archive for a kernel, built when the cache does not have it. */
export async function baseArchive(kernel: Kernel, cacheRoot: string): Promise<string> {
  const files = await hostFiles()
  const hash = createHash('sha256')
  for (const path of files) {
    const { size, mtimeMs } = statSync(path)
    hash.update(`${path} ${size} ${mtimeMs}\n`)
  }
  const parts = [kernel.modules, wantedModules.join(' '), guestInit, guestPasswd, guestGroup]
  hash.update(parts.join('\n'))
  const prefix = `base-${kernel.release}-`
  const name = `${prefix}${hash.digest('hex').slice(0, 16)}.cpio`
  const directory = join(cacheRoot, 'initramfs')
  return cached(join(directory, name), async (partial) => {
    for (const old of await readdir(directory)) {
      // Made of other ingredients, and more than 100 MB.
      if (old.startsWith(prefix)) await rm(join(directory, old), { force: true })
    }
    await writeFile(partial, cpioArchive(withParents(await baseEntries(kernel, files))))
  })
}

/** The archive of the program, small enough to be made anew for each boot. */
export async function programArchive(program: GuestProgram): Promise<Buffer> {
  const entries: CpioEntry[] = []
  for (const path of program.include) {
    const full = join(program.projectRoot, path)
    if (!existsSync(full)) {
      throw new Error(`${path} is missing from the project: run "npm run build" first`)
    }
    entries.push(...(await treeEntries(full, `${guestProgramRoot.slice(1)}/${path}`)))
  }
  const command = `#!/bin/sh\nexec node ${guestProgramRoot}/${program.entry} "$@"\n`
  entries.push({ path: 'usr/bin/isogroup', kind: 'file', mode: 0o755, content: command })
  return cpioArchive(withParents(entries))
}

/** Node and its shared libraries, and busybox, where the host has them. */
async function hostFiles(): Promise<readonly string[]> {
  const listed = await runOrThrow('ldd', [process.execPath])
  const libraries = parseLibraries(listed.toString('utf8'))
  return [process.execPath, requireProgram('busybox'), ...libraries]
}

/** Reads the file names out of what ldd prints; the vdso has no file and is left out. */
export function parseLibraries(listed: string): readonly string[] {
  return [...listed.matchAll(/(?:=>\s*|^\s*)(\/\S+)\s+\(0x/gm)].flatMap((match) => match[1] ?? [])
}

async function baseEntries(
  kernel: Kernel,
  files: readonly string[],
): Promise<readonly CpioEntry[]> {
  const [node, busybox, ...libraries] = files
  if (node === undefined || busybox === undefined) throw new Error('no Node or no busybox')
  const scratch = await mkdtemp(join(tmpdir(), 'isogroup-lab-'))
  const executable = { kind: 'file', mode: 0o755 } as const
  try {
    return [
      { path: 'init', ...executable, content: guestInit },
      { path: 'bin/busybox', ...executable, content: readFileSync(busybox) },
      ...busyboxLinks.map((name) => {
        return { path: `bin/${name}`, kind: 'link', mode: 0o777, content: 'busybox' } as const
      }),
      ...['dev', 'proc', 'sys', 'run', 'tmp', 'etc', 'root', 'home'].map((path) => {
        return { path, kind: 'directory', mode: 0o755 } as const
      }),
      { path: 'etc/passwd', kind: 'file', mode: 0o644, content: guestPasswd },
      { path: 'etc/group', kind: 'file', mode: 0o644, content: guestGroup },
      { path: 'usr/bin/node', ...executable, content: readFileSync(node) },
      ...libraries.map((path) => {
        // The loader asks for the name ldd printed; the content may be behind a link.
        return { path: path.slice(1), ...executable, content: readFileSync(realpathSync(path)) }
      }),
      ...(await moduleEntries(kernel, scratch)),
    ]
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function treeEntries(full: string, path: string): Promise<readonly CpioEntry[]> {
  const found = statSync(full)
  if (!found.isDirectory()) {
    const mode = (found.mode & 0o111) === 0 ? 0o644 : 0o755
    return [{ path, kind: 'file', mode, content: await readFile(full) }]
  }
  const entries: CpioEntry[] = [{ path, kind: 'directory', mode: 0o755 }]
  for (const name of (await readdir(full)).sort()) {
    entries.push(...(await treeEntries(join(full, name), `${path}/${name}`)))
  }
  return entries
}
