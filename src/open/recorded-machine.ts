/**
 * A recorded machine as the model boots it: the twin of the facts in its file.
 *
 * A file of facts names the kernel that formed the groups, sometimes as a range ("5.16/5.17"); the rules of
 * the first are taken where the facts themselves tell no release.
 */
import { formatKernelVersion, parseKernelVersion } from '../base/kernel-version.ts'
import { lspciHost } from '../lspci/lspci-host.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import type { MachineFile } from './machine-file.ts'
import { twinOf } from './twin.ts'

export function recordedMachine(file: MachineFile): MachineDescription {
  const host = lspciHost(file.snapshot, 'a machine file does not hold it')
  const { machine } = twinOf(host)
  const version = parseKernelVersion(file.kernel)
  return {
    ...machine,
    name: file.name,
    title: file.category,
    ...(file.snapshot.kernelRelease.known || version === null
      ? {}
      : { kernelRelease: formatKernelVersion(version) }),
  }
}
