/**
 * The kernel modules of a guest: those the lab's devices and VFIO need, with all they depend on,
 * decompressed (busybox's modprobe reads no .xz) and indexed by depmod.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { CpioEntry } from './cpio.ts'
import type { Kernel } from './kernels.ts'
import { requireProgram } from './packages.ts'
import { runOrThrow } from './process.ts'

/** By file name without `.ko`. A series that has no such module, or has it built in, does without. */
export const wantedModules: readonly string[] = [
  'virtio_pci',
  'virtio_console',
  'vfio',
  'vfio_iommu_type1',
  'vfio-pci',
  'pci-stub',
  'virtio-iommu',
  'e1000',
  'e1000e',
  'nvme',
  'snd-hda-intel',
  'snd-hda-codec-generic',
  'xhci-pci',
  'ahci',
  'i2c-i801',
  'lpc_ich',
  'virtio_net',
  'virtio_blk',
  'virtio-rng',
  'bonding',
  // A file system, and what it asks for by name.
  'ext4',
  'crc32c_generic',
]

/** Entries below lib/modules; `scratch` is an empty directory that the caller removes. */
export async function moduleEntries(
  kernel: Kernel,
  scratch: string,
): Promise<readonly CpioEntry[]> {
  const available = await findModules(kernel.modules)
  const dependencies = await readDependencies(kernel)
  const target = join(scratch, 'guest', 'lib', 'modules', kernel.release)
  await mkdir(target, { recursive: true })
  for (const path of moduleClosure(wantedModules, available, dependencies)) {
    const content = await readModule(join(kernel.modules, path))
    const plain = join(target, path.replace(/\.ko\.xz$/, '.ko'))
    await mkdir(dirname(plain), { recursive: true })
    await writeFile(plain, content)
  }
  for (const name of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo']) {
    await writeFile(join(target, name), await readFile(join(kernel.modules, name)))
  }
  const depmod = requireProgram('depmod')
  await runOrThrow(depmod, ['-b', join(scratch, 'guest'), kernel.release])
  return readTree(join(scratch, 'guest'), '')
}

/** Paths of all modules below `root`, by module name (dashes and underscores are the same). */
async function findModules(root: string): Promise<ReadonlyMap<string, string>> {
  const paths = await readdir(root, { recursive: true })
  const modules = paths.filter((path) => /\.ko(\.xz)?$/.test(path))
  return new Map(modules.map((path) => [moduleName(path), path]))
}

function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_')
}

/** What each module needs, computed by depmod from the modules as shipped. */
async function readDependencies(kernel: Kernel): Promise<ReadonlyMap<string, readonly string[]>> {
  const root = join(kernel.modules, '..', '..', '..')
  const printed = await runOrThrow(requireProgram('depmod'), ['-n', '-b', root, kernel.release])
  return parseDependencies(printed.toString('utf8'))
}

/** Reads the modules.dep part of what `depmod -n` prints: `path: path path`. */
export function parseDependencies(printed: string): ReadonlyMap<string, readonly string[]> {
  const lines = printed.matchAll(/^(\S+\.ko(?:\.xz)?):(.*)$/gm)
  return new Map(
    [...lines].map((line) => {
      const needs = (line[2] ?? '').split(' ').filter((path) => path !== '')
      return [moduleName(line[1] ?? ''), needs.map(moduleName)]
    }),
  )
}

function moduleClosure(
  names: readonly string[],
  available: ReadonlyMap<string, string>,
  dependencies: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const paths = new Set<string>()
  const waiting = names.map((name) => name.replaceAll('-', '_'))
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const path = available.get(name)
    if (path === undefined || paths.has(path)) continue
    paths.add(path)
    waiting.push(...(dependencies.get(name) ?? []))
  }
  return [...paths].sort()
}

async function readModule(path: string): Promise<Buffer> {
  return path.endsWith('.xz') ? runOrThrow(requireProgram('xz'), ['-dc', path]) : readFile(path)
}

async function readTree(root: string, path: string): Promise<readonly CpioEntry[]> {
  const entries: CpioEntry[] = []
  for (const item of await readdir(join(root, path), { withFileTypes: true })) {
    const child = path === '' ? item.name : `${path}/${item.name}`
    if (item.isDirectory()) {
      entries.push({ path: child, kind: 'directory', mode: 0o755 })
      entries.push(...(await readTree(root, child)))
    } else {
      const content = await readFile(join(root, child))
      entries.push({ path: child, kind: 'file', mode: 0o644, content })
    }
  }
  return entries
}
