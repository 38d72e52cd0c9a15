/**
 * The tree of files that processes of the modelled machine see: /sys, /proc, /dev and what a distribution
 * adds. Nothing is stored: every directory asks the part of the kernel that it shows.
 */
import type { KernelContext } from '../context.ts'
import { busDirectory } from '../driver-core/bus-directory.ts'
import type { Bus } from '../driver-core/bus.ts'
import type { IommuCore } from '../iommu/iommu-core.ts'
import type { MachineDescription } from '../machine/description.ts'
import { type Directory, directory, type File, textFile } from '../sysfs/node.ts'
import type { VfioCore } from '../vfio/vfio-core.ts'
import { firmwareDirectory } from './firmware.ts'
import { interruptDirectory, type InterruptLine } from './interrupts.ts'
import type { ProcessTable } from '../user-process.ts'
import { etcDirectory } from './accounts.ts'
import { type Module, moduleDirectory } from './modules.ts'
import { pciIds } from './names.ts'
import { procDirectory } from './proc.ts'

export interface Shown {
  readonly context: KernelContext
  readonly machine: MachineDescription
  readonly buses: readonly Bus[]
  /** /sys/class and /sys/devices. */
  readonly classes: Directory
  readonly devices: Directory
  readonly iommu: IommuCore
  readonly vfio: VfioCore
  readonly interrupts: () => readonly InterruptLine[]
  readonly modules: () => ReadonlyMap<string, Module>
  /** Names of modules that are there and not loaded. */
  readonly available: () => readonly string[]
  readonly processes: ProcessTable
  readonly bootId: string
}

export function rootDirectory(shown: Shown): Directory {
  const { machine, vfio } = shown
  const proc = procDirectory(shown)
  const sys = sysDirectory(shown)
  const dev = directory({ vfio: () => vfio.nodes() })
  const names = textFile(() => pciIds(machine.names))
  const share = directory({ misc: () => directory({ 'pci.ids': () => names }) })
  const usr = directory({ share: () => share })
  const lib = libDirectory(machine, () => [...shown.modules().keys(), ...shown.available()])
  const etc = etcDirectory()
  return directory({
    dev: () => dev,
    etc: () => etc,
    lib: () => lib,
    proc: () => proc,
    sys: () => sys,
    usr: () => usr,
  })
}

function sysDirectory(shown: Shown): Directory {
  const { context, buses, classes, devices, iommu, machine } = shown
  const numbers = context.devices
  const bus = fixed(buses.map((one) => [one.name, busDirectory(context, one)]))
  const kernel = fixed([
    ['iommu_groups', iommu.groupsDirectory()],
    ['irq', interruptDirectory(shown.interrupts)],
  ])
  return fixed([
    ['bus', bus],
    ['class', classes],
    [
      'dev',
      fixed([
        ['block', numbers.numbered('block')],
        ['char', numbers.numbered('char')],
      ]),
    ],
    ['devices', devices],
    ['firmware', firmwareDirectory(machine.acpiTables)],
    ['kernel', kernel],
    ['module', moduleDirectory(shown.modules)],
  ])
}

function fixed(entries: readonly (readonly [name: string, directory: Directory])[]): Directory {
  return directory(Object.fromEntries(entries.map(([name, node]) => [name, () => node])))
}

/** What depmod wrote: paths of modules, each followed by what it depends on. */
function libDirectory(
  { kernelRelease }: MachineDescription,
  modules: () => readonly string[],
): Directory {
  const file = (text: () => string): (() => File) => {
    return () => textFile(text)
  }
  return directory({
    modules: () =>
      directory({
        [kernelRelease]: () =>
          directory({
            'modules.builtin': file(() => ''),
            'modules.dep': file(() =>
              modules()
                .map((name) => `kernel/drivers/${name.replaceAll('_', '-')}.ko:\n`)
                .join(''),
            ),
          }),
      }),
  })
}
