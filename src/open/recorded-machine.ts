/**
 * A recorded machine as the model boots it: the twin of the facts in its file.
 *
 * A file names the kernel that formed the groups in words: "6.6.8", "5.16/5.17", "lspci under 6.8-rc7; groups
 * from 6.6.15 boot". It decides where the facts tell no release: at its start, else the last one named.
 */
import { formatKernelVersion, type KernelVersion, parseKernelVersion } from '../base/kernel-version.ts'
import { lspciHost } from '../lspci/lspci-host.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import type { MachineFile } from './machine-file.ts'
import { twinOf } from './twin.ts'

export function recordedMachine(file: MachineFile): MachineDescription {
  const host = lspciHost(file.snapshot, 'a machine file does not hold it')
  const { machine } = twinOf(host)
  const version = parseKernelVersion(file.kernel) ?? lastVersion(file.kernel)
  return {
    ...machine,
    name: file.name,
    title: file.category,
    ...(file.snapshot.kernelRelease.known || version === null
      ? {}
      : { kernelRelease: formatKernelVersion(version) }),
  }
}

function lastVersion(text: string): KernelVersion | null {
  const last = text.match(/\b\d+\.\d+/g)?.at(-1)
  return last === undefined ? null : parseKernelVersion(last)
}
