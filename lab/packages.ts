/**
 * The programs the lab needs on the host, and the Debian packages that hold them.
 *
 * On Debian and Ubuntu, as root, missing packages are installed. Anywhere else the answer is a
 * reason in words: the caller shows it as a visible skip (or as a failure under --required), never
 * as a silent success.
 */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runOrThrow } from './process.ts'

export interface Tool {
  readonly program: string
  /** Debian's packages that it needs: the one that has it, and what that one only recommends. */
  readonly packages: readonly string[]
}

const tools: readonly Tool[] = [
  { program: 'qemu-system-x86_64', packages: ['qemu-system-x86'] },
  { program: 'busybox', packages: ['busybox-static'] },
  { program: 'depmod', packages: ['kmod'] },
  { program: 'xz', packages: ['xz-utils'] },
  { program: 'zstd', packages: ['zstd'] },
  { program: 'dpkg', packages: ['dpkg'] },
  { program: 'apt-get', packages: ['apt'] },
  { program: 'apt-cache', packages: ['apt'] },
  { program: 'ldd', packages: ['libc-bin'] },
]

export type Readiness =
  | { readonly ready: true; readonly installed: readonly string[] }
  | { readonly ready: false; readonly reason: string }

/** Full path of a program, also looking in the system directories an ordinary user's PATH lacks. */
function findProgram(program: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter)
  for (const directory of [...directories, '/usr/local/sbin', '/usr/sbin', '/sbin', '/bin']) {
    if (directory === '') continue
    const path = join(directory, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not here: look in the next directory.
    }
  }
  return undefined
}

/** Full path of a program of the list above; throws with the package name when it is missing. */
export function requireProgram(program: string): string {
  const path = findProgram(program)
  if (path !== undefined) return path
  const packages = tools.find((tool) => tool.program === program)?.packages ?? [program]
  throw new Error(`${program} is not installed: apt-get install ${packages.join(' ')}`)
}

function missingPackages(wanted: readonly Tool[]): readonly string[] {
  const missing = wanted.filter((tool) => findProgram(tool.program) === undefined)
  return [...new Set(missing.flatMap((tool) => tool.packages))]
}

function isDebianFamily(): boolean {
  if (!existsSync('/etc/os-release')) return false
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'))
}

/** Makes the host able to run the lab, or says in words why it cannot. */
export async function prepareHost(): Promise<Readiness> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const found = `${process.platform} on ${process.arch}`
    return { ready: false, reason: `the lab needs Linux on x86-64, this is ${found}` }
  }
  return prepareTools(tools)
}

/** Installs those that are not there, or says in words why it cannot. */
export async function prepareTools(wanted: readonly Tool[]): Promise<Readiness> {
  const missing = missingPackages(wanted)
  if (missing.length === 0) return { ready: true, installed: [] }
  const list = missing.join(' ')
  if (!isDebianFamily()) {
    return { ready: false, reason: `missing ${list}, and this is not Debian or Ubuntu` }
  }
  if (process.getuid?.() !== 0) {
    return { ready: false, reason: `missing ${list}: as root, apt-get install ${list}` }
  }
  try {
    await installPackages(missing)
  } catch (error) {
    return { ready: false, reason: `could not install ${list}: ${String(error)}` }
  }
  const stillMissing = missingPackages(wanted)
  if (stillMissing.length > 0) {
    return { ready: false, reason: `installed, but still missing ${stillMissing.join(' ')}` }
  }
  return { ready: true, installed: missing }
}

async function installPackages(names: readonly string[]): Promise<void> {
  const environment = { DEBIAN_FRONTEND: 'noninteractive' }
  await runOrThrow('apt-get', ['update', '-qq'], { environment })
  const args = ['install', '-y', '-qq', '--no-install-recommends', ...names]
  await runOrThrow('apt-get', args, { environment, deadlineMs: 600_000 })
}
