/** /proc, as far as it says something about the machine, its kernel and the caller. */
import { type Directory, directory, textFile } from '../sysfs/node.ts'
import { NO_USES } from '../machine/host-uses.ts'
import type { MachineDescription } from '../machine/description.ts'
import { inputDevices, mountinfo, netDirectory, swaps } from './host-files.ts'
import { type InterruptLine, interruptTable } from './interrupts.ts'
import { cpuinfo, meminfo } from './processors.ts'
import { processDirectory } from './proc-process.ts'
import { procSelf } from './proc-self.ts'
import type { KernelContext } from '../context.ts'
import type { Credentials, Process } from '../process.ts'
import type { ProcessTable } from '../user-process.ts'

export interface ProcShown {
  readonly machine: MachineDescription
  readonly context: KernelContext
  readonly interrupts: () => readonly InterruptLine[]
  readonly processes: ProcessTable
  readonly bootId: string
}

export function procDirectory(shown: ProcShown): Directory {
  const { machine, interrupts, processes } = shown
  const host = { uses: machine.uses ?? NO_USES, devices: shown.context.devices }
  const random = directory({ boot_id: () => textFile(() => `${shown.bootId}\n`) })
  const sys = directory({
    kernel: () =>
      directory({
        osrelease: () => textFile(() => `${machine.kernelRelease}\n`),
        ostype: () => textFile(() => 'Linux\n'),
        random: () => random,
      }),
  })
  const ofAll = { mountinfo: () => mountinfo(host) }
  const self = procSelf(ofAll)
  const input = directory({ devices: () => inputDevices(host) })
  const bus = directory({ input: () => input })
  const fixed = directory({
    bus: () => bus,
    cmdline: () => textFile(() => `${machine.commandLine}\n`),
    cpuinfo: () => textFile(() => cpuinfo(machine)),
    interrupts: () => textFile(() => interruptTable(interrupts())),
    meminfo: () => textFile(() => meminfo(machine)),
    net: () => netDirectory(host),
    self: () => self,
    swaps: () => swaps(host),
    sys: () => sys,
  })
  return {
    kind: 'directory',
    list: () => [...fixed.list(), ...[...processes.keys()].map(String)],
    find: (name, who) => {
      if (name === 'self' && who !== undefined && isListed(who, processes)) {
        return { kind: 'link', target: () => String(who.pid) }
      }
      const process = /^[1-9]\d*$/.test(name) ? processes.get(Number(name)) : undefined
      return process === undefined ? fixed.find(name) : processDirectory(process, ofAll)
    },
  }
}

function isListed(who: Credentials, processes: ProcessTable): who is Process {
  return 'pid' in who && processes.has((who as Process).pid)
}
