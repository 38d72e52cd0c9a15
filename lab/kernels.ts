/**
 * Debian's own kernels, unpacked into the cache without installing them.
 *
 * The meta packages follow Debian's point releases: the image package they depend on changes its
 * name with every ABI. So the name is asked of apt each run, and a cached kernel is found again by
 * package name and version. Without a network the newest cached kernel of the series is used.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { extractKernel } from './kernel-image.ts'
import { runOrThrow, runProcess } from './process.ts'

/** The kernel series the lab boots, by the number users know them by. */
export type KernelSeries = '6.1' | '6.12'

export const kernelSeriesAll: readonly KernelSeries[] = ['6.1', '6.12']

export type Kernel = {
  readonly series: KernelSeries
  /** What `uname -r` prints in the guest. */
  readonly release: string
  /** The uncompressed kernel, which QEMU starts at its PVH entry point. */
  readonly image: string
  /** Directory that holds `kernel/`, the modules, as shipped by the package. */
  readonly modules: string
}

const metaPackages: Readonly<Record<KernelSeries, string>> = {
  '6.1': 'linux-image-amd64',
  '6.12': 'linux-image-6.12-amd64',
}

const imagePackagePattern: Readonly<Record<KernelSeries, RegExp>> = {
  '6.1': /^linux-image-6\.1\.\d+-\d+-amd64$/,
  '6.12': /^linux-image-6\.12\.\S+-amd64$/,
}

/** The kernel of a series, from the cache or freshly downloaded. */
export async function fetchKernel(series: KernelSeries, cacheRoot: string): Promise<Kernel> {
  const kernels = join(cacheRoot, 'kernels')
  const wanted = await findImagePackage(series)
  if (wanted === undefined) return newestCachedKernel(series, kernels)
  const directory = join(kernels, `${wanted.name}_${wanted.version.replace(/[^\w.+~-]/g, '_')}`)
  await cached(directory, (partial) => downloadKernel(wanted.name, wanted.version, partial))
  return describeKernel(series, directory)
}

type ImagePackage = { readonly name: string; readonly version: string }

/** The image package behind the meta package, or nothing when apt has no lists for it. */
async function findImagePackage(series: KernelSeries): Promise<ImagePackage | undefined> {
  let found = await readImagePackage(series)
  if (found === undefined && process.getuid?.() === 0) {
    await runProcess('apt-get', ['update', '-qq'])
    found = await readImagePackage(series)
  }
  return found
}

async function readImagePackage(series: KernelSeries): Promise<ImagePackage | undefined> {
  const meta = metaPackages[series]
  const depends = await runProcess('apt-cache', ['show', '--no-all-versions', meta])
  if (depends.code !== 0) return undefined
  const name = parseImageDependency(depends.stdout.toString('utf8'), series)
  if (name === undefined) return undefined
  const image = await runProcess('apt-cache', ['show', '--no-all-versions', name])
  const version = /^Version: (\S+)$/m.exec(image.stdout.toString('utf8'))?.[1]
  return version === undefined ? undefined : { name, version }
}

/** Reads the image package out of `apt-cache show META`: the first dependency of the right series. */
export function parseImageDependency(shown: string, series: KernelSeries): string | undefined {
  const depends = /^Depends: (.+)$/m.exec(shown)?.[1] ?? ''
  const names = depends.split(/[,|]/).map((item) => item.trim().split(/\s/)[0] ?? '')
  return names.find((name) => imagePackagePattern[series].test(name))
}

async function downloadKernel(name: string, version: string, partial: string): Promise<void> {
  const download = `${partial}-download`
  await rm(download, { recursive: true, force: true })
  await mkdir(download, { recursive: true })
  // apt verifies size and checksum, so a half-finished download never gets past this line.
  const quiet = ['-q', '-o', 'APT::Sandbox::User=root']
  await runOrThrow('apt-get', [...quiet, 'download', `${name}=${version}`], {
    cwd: download,
    deadlineMs: 600_000,
  })
  const archive = (await readdir(download)).find((file) => file.endsWith('.deb'))
  if (archive === undefined) throw new Error(`apt-get download ${name} left no .deb file`)
  const unpacked = join(download, 'unpacked')
  await runOrThrow('dpkg', ['-x', join(download, archive), unpacked])
  await rename(unpacked, partial)
  await rm(download, { recursive: true, force: true })
}

async function describeKernel(series: KernelSeries, directory: string): Promise<Kernel> {
  const lib = join(directory, 'lib', 'modules')
  const release = (await readdir(lib))[0]
  if (release === undefined) throw new Error(`no modules in ${lib}: delete it and run again`)
  const compressed = join(directory, 'boot', `vmlinuz-${release}`)
  if (!existsSync(compressed)) {
    throw new Error(`no kernel image ${compressed}: delete the folder, run again`)
  }
  const image = join(directory, 'boot', `vmlinux-${release}`)
  await cached(image, async (partial) => {
    await writeFile(partial, await extractKernel(await readFile(compressed)))
  })
  return { series, release, image, modules: join(lib, release) }
}

async function newestCachedKernel(series: KernelSeries, kernels: string): Promise<Kernel> {
  const names = existsSync(kernels) ? await readdir(kernels) : []
  const fitting = names.filter((name) => {
    return imagePackagePattern[series].test(name.split('_')[0] ?? '')
  })
  const newest = fitting.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  if (newest === undefined) {
    const meta = metaPackages[series]
    throw new Error(
      `apt knows no ${meta} and no ${series} kernel is cached: add a Debian 12 source ` +
        `(and its backports for 6.12), then apt-get update`,
    )
  }
  return describeKernel(series, join(kernels, newest))
}
