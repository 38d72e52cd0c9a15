/**
 * What a hanging unbind can be blamed on: programs that have the device or its group open, and writes to sysfs
 * that do not come back, with where in the kernel they stand.
 *
 *     qemu-system-x86 (pid 812, user 1000) has /dev/vfio/13 open
 *     node (pid 840) has been writing to /sys/bus/pci/drivers/vfio-pci/unbind, state D (disk sleep)
 *       [<0>] vfio_unregister_group_dev+0x1f4/0x2e0 [vfio]
 *       [<0>] device_release_driver_internal+0x1b0/0x210
 */
import type { Fact } from '../base/fact.ts'
import type { Program } from '../isolation/live-host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { PCI_DEVICES } from './functions.ts'
import { type OpenFile, readOpenFiles } from './open-files.ts'
import { readPrograms } from './programs.ts'
import { baseName, readLink, readText } from './reading.ts'

/** Lines for a person, the deeper ones indented; what could not be looked at is said too. */
export function readStuckEvidence(kernel: KernelView, address: string): readonly string[] {
  const files = readOpenFiles(kernel)
  if (!files.known) return [files.why]
  const writers = files.value.filter(({ file }) => file.startsWith('/sys/'))
  const { usersOf, holdersOf } = readPrograms(kernel, files)
  const link = readLink(kernel, `${PCI_DEVICES}/${address}/iommu_group`)
  const users = link.known && link.value !== null ? usersOf(baseName(link.value)) : null
  const holders = holderLines([users, holdersOf([address])(address)])
  return [...holders, ...writers.flatMap((open) => writerLines(kernel, open))]
}

function holderLines(looks: readonly (Fact<readonly Program[]> | null)[]): readonly string[] {
  const lines = looks.flatMap((found) => {
    if (found === null) return []
    return found.known ? found.value.map(holderLine) : [found.why]
  })
  return [...new Set(lines)]
}

function holderLine({ name, pid, uid, file }: Program): string {
  return `${name} (pid ${String(pid)}, user ${String(uid)}) has ${file} open`
}

function writerLines(kernel: KernelView, { pid, file }: OpenFile): readonly string[] {
  const dir = `/proc/${String(pid)}`
  const status = readText(kernel, `${dir}/status`)
  const text = status.known ? (status.value ?? '') : ''
  const [name = '?', state = '?'] = ['Name', 'State'].map(
    (key) => new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(text)?.[1],
  )
  const stack = readText(kernel, `${dir}/stack`)
  const lines = stack.known ? (stack.value ?? '').split('\n') : [stack.why]
  return [
    `${name} (pid ${String(pid)}) has been writing to ${file}, state ${state}`,
    ...lines.filter((line) => line !== '').map((line) => `  ${line}`),
  ]
}
