/**
 * A recorded machine as the model boots it: the twin of the facts in its file.
 *
 * A file names the kernel that formed the groups in words: "6.6.8", "5.16/5.17", "lspci under 6.8-rc7; groups
 * from 6.6.15 boot". It decides where the facts tell no release: at its start, else the last one named.
 */
import {
  formatKernelVersion,
  type KernelVersion,
  parseKernelVersion,
} from '../base/kernel-version.ts'
import { lspciHost } from '../lspci/lspci-host.ts'
import type { MachineFile } from './machine-file.ts'
import { type Twin, twinOf } from './twin.ts'

export function recordedTwin(file: MachineFile): Twin {
  const host = lspciHost(file.snapshot, 'a machine file does not hold it')
  const { machine, assumed } = twinOf(host)
  const named = { ...machine, name: file.name, title: file.category }
  const version = parseKernelVersion(file.kernel) ?? lastVersion(file.kernel)
  if (file.snapshot.kernelRelease.known || version === null) return { machine: named, assumed }
  return {
    machine: { ...named, kernelRelease: formatKernelVersion(version) },
    assumed: assumed.filter((text) => !text.startsWith('kernel: ')),
  }
}

function lastVersion(text: string): KernelVersion | null {
  const last = text.match(/\b\d+\.\d+/g)?.at(-1)
  return last === undefined ? null : parseKernelVersion(last)
}
