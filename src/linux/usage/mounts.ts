/**
 * What is mounted, by everybody: the caller's own mounts, and those that only programs with a mount namespace
 * of their own see (containers, services of systemd).
 *
 * /proc/PID/mountinfo, one mount a line (fs/proc_namespace.c, show_mountinfo), blanks as \040:
 *
 *     36 35 259:2 / /srv/data rw,noatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
 */
import { type Fact, known } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readLink, readList, readText, required } from '../reading.ts'

export interface Mount {
  /** "259:2"; "0:31" where the file system has no one device (btrfs, zfs, overlay). */
  readonly number: string
  /** "/srv/data" */
  readonly at: string
  /** "ext4" */
  readonly type: string
  /** "/dev/nvme0n1p2", "tank/home" */
  readonly source: string
  /** Options of the file system: "rw,logdev=/dev/sdb1". */
  readonly options: string
  /** "dockerd (812)" where only a program with other mounts sees it; null for the host's own. */
  readonly seenBy: string | null
}

export interface Mounts {
  readonly mounts: readonly Mount[]
  /** Why there may be more; null when all were seen. */
  readonly incomplete: string | null
}

const OWN = '/proc/self/mountinfo'

export function readMounts(kernel: KernelView): Fact<Mounts> {
  const text = required(readText(kernel, OWN, BYTES_MAX), OWN)
  if (!text.known) return text
  const mounts = parseMounts(text.value, null)
  const seen = new Set(mounts.map(key))
  const own = readLink(kernel, '/proc/self/ns/mnt')
  const visited = new Set(own.known && own.value !== null ? [own.value] : [])
  let incomplete: string | null = own.known ? null : own.why
  const processes = readList(kernel, '/proc')
  if (!processes.known) return known({ mounts, incomplete: processes.why })
  for (const pid of processes.value ?? []) {
    if (!/^\d+$/.test(pid)) continue
    const space = readLink(kernel, `/proc/${pid}/ns/mnt`)
    if (!space.known && isThere(kernel, pid)) incomplete ??= space.why
    if (!space.known || space.value === null || visited.has(space.value)) continue
    visited.add(space.value)
    const theirs = readText(kernel, `/proc/${pid}/mountinfo`, BYTES_MAX)
    if (!theirs.known && isThere(kernel, pid)) incomplete ??= theirs.why
    const seenBy = `${nameOf(kernel, pid)} (${pid})`
    for (const mount of parseMounts(theirs.known ? (theirs.value ?? '') : '', seenBy)) {
      if (seen.has(key(mount))) continue
      seen.add(key(mount))
      mounts.push(mount)
    }
  }
  return known({ mounts, incomplete })
}

/** A program that ended meanwhile answers EACCES and EINVAL, as one that may not be looked at. */
function isThere(kernel: KernelView, pid: string): boolean {
  return kernel.exists(`/proc/${pid}`)
}

/** A host with thousands of containers has megabytes of mounts. */
const BYTES_MAX = 16 * 1024 * 1024

/** A container sees the host's mounts at the same or another place; the device is what matters. */
function key({ number, source, at }: Mount): string {
  return `${number} ${source} ${at}`
}

function nameOf(kernel: KernelView, pid: string): string {
  const name = readText(kernel, `/proc/${pid}/comm`)
  return name.known ? (name.value ?? 'program') : 'program'
}

/** @param seenBy see Mount */
function parseMounts(text: string, seenBy: string | null): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [front, back] = line.split(' - ', 2)
    const [, , number, , at] = (front ?? '').split(' ')
    const [type, source, options] = (back ?? '').split(' ')
    if (number === undefined || at === undefined || type === undefined) return []
    return [
      {
        number,
        at: unescaped(at),
        type,
        source: unescaped(source ?? ''),
        options: options ?? '',
        seenBy,
      },
    ]
  })
}

/** Blank, tab, newline and backslash are written as three octal digits (fs/seq_file.c, mangle_path). */
export function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  )
}
