/** /proc, as far as it says something about the machine, its kernel and the caller. */
import { type Directory, directory, textFile } from '../sysfs/node.ts'
import type { MachineDescription } from '../machine/description.ts'
import { type InterruptLine, interruptTable } from './interrupts.ts'
import { cpuinfo, meminfo } from './processors.ts'
import { procSelf } from './proc-self.ts'

export function procDirectory(
  machine: MachineDescription,
  interrupts: () => readonly InterruptLine[],
): Directory {
  const sys = directory({
    kernel: () =>
      directory({
        osrelease: () => textFile(() => `${machine.kernelRelease}\n`),
        ostype: () => textFile(() => 'Linux\n'),
      }),
  })
  const self = procSelf()
  return directory({
    cmdline: () => textFile(() => `${machine.commandLine}\n`),
    cpuinfo: () => textFile(() => cpuinfo(machine)),
    interrupts: () => textFile(() => interruptTable(interrupts())),
    meminfo: () => textFile(() => meminfo(machine)),
    self: () => self,
    sys: () => sys,
  })
}
