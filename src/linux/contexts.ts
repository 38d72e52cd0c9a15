/**
 * Who shares what: programs with a VFIO container open, the groups whose nodes or devices they have open, and how
 * much memory they have locked.
 *
 * Which group is in which container the kernel tells nobody. A program with one container has all its groups in it;
 * of one with several only the sum is known.
 */
import { type Fact, known, mapFact, unknown } from '../base/fact.ts'
import type { ContextUse } from '../isolation/live-host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { type OpenFile, readOpenFiles, VFIO_DEVICE, vfioDevicePath } from './open-files.ts'
import { groupAt, isGroupNode, whoIs } from './programs.ts'
import { baseName, readList, readText } from './reading.ts'

const CONTAINER = '/dev/vfio/vfio'
const KIB = 1024
const PCI = /^[0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/

/** Programs with a container open, by pid. Unknown unless all programs may be looked at. */
export function readContexts(kernel: KernelView): Fact<readonly ContextUse[]> {
  return mapFact(readOpenFiles(kernel), (files) => {
    const byProgram = new Map<number, OpenFile[]>()
    for (const file of files) {
      const own = byProgram.get(file.pid)
      if (own === undefined) byProgram.set(file.pid, [file])
      else own.push(file)
    }
    return [...byProgram]
      .sort(([a], [b]) => a - b)
      .flatMap(([pid, own]) => contextsOf(kernel, pid, own) ?? [])
  })
}

/** Null: it has none, or has ended since then. */
function contextsOf(
  kernel: KernelView,
  pid: number,
  files: readonly OpenFile[],
): ContextUse | null {
  const containers = files.filter(({ file }) => file === CONTAINER).length
  const who = containers === 0 ? null : whoIs(kernel, pid)
  if (who === null) return null
  const groups = new Set<string>()
  for (const open of files) {
    const path = open.file === VFIO_DEVICE ? vfioDevicePath(kernel, open) : null
    const group = path === null ? null : groupAt(kernel, path)
    if (group !== null) groups.add(group)
    if (isGroupNode(open.file)) groups.add(baseName(open.file))
  }
  return {
    ...who,
    containers,
    groups: [...groups]
      .sort((a, b) => Number(a) - Number(b))
      .map((group) => ({ group, members: membersOf(kernel, group) })),
    locked: lockedBy(kernel, pid),
  }
}

function membersOf(kernel: KernelView, group: string): readonly string[] {
  const names = readList(kernel, `/sys/kernel/iommu_groups/${group}/devices`)
  return names.known ? (names.value ?? []).filter((name) => PCI.test(name)).sort() : []
}

/** What VFIO locks is counted in VmLck (vfio_lock_acct), beside what the program locks itself. */
function lockedBy(kernel: KernelView, pid: number): Fact<number> {
  const path = `/proc/${String(pid)}/status`
  const status = readText(kernel, path)
  if (!status.known) return status
  const kib = /^VmLck:\s*(\d+) kB$/m.exec(status.value ?? '')?.[1]
  return kib === undefined ? unknown(`${path} does not say`) : known(Number(kib) * KIB)
}
