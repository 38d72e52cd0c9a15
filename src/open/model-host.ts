/** Machines booted on the model, behind the same ports as a real host. */
import type { Host } from '../isolation/host.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { linuxHost } from '../linux/linux-host.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import { bootModel, type Model } from '../model/model.ts'
import type { Clock } from '../model/kernel-calls.ts'
import { type ModelKernel, modelKernel } from '../model/model-kernel.ts'
import type { Twin } from './twin.ts'

/** Time for deadlines: the model itself has none. */
export const TIMERS: Clock = {
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds)
    return () => {
      clearTimeout(timer)
    }
  },
}

/** Boots the machine and gives the kernel as root sees it. */
export function bootKernel(machine: MachineDescription): Kernel {
  return kernelOf(bootModel(machine))
}

/** What root sees of a booted machine; deadlines of writes run on the caller's clock. */
export function kernelOf(model: Model): ModelKernel {
  return modelKernel(model, { clock: TIMERS })
}

/** The booted machine as a host to look at; it brings its own names of devices. */
export function modelHost({ machine, assumed }: Twin): Host {
  return linuxHost(bootKernel(machine), modelLabel({ machine, assumed }))
}

/** What a person calls it; the twin of a recorded host says that not all of it is known. */
export function modelLabel({ machine, assumed }: Twin): string {
  if (assumed.length === 0) return `model ${machine.name}`
  return `model ${machine.name} (${String(assumed.length)} facts assumed)`
}

export interface BootedHost {
  readonly host: Host
  /** What the kernel logged while it booted. */
  readonly log: readonly string[]
  /** Names of the PCI drivers it has. */
  readonly drivers: readonly string[]
}

/** The same, with what only the model itself tells. */
export function bootedHost(machine: MachineDescription): BootedHost {
  const model = bootModel(machine)
  return {
    host: linuxHost(kernelOf(model), `model ${machine.name}`),
    log: model.context.log,
    drivers: [...model.pci.bus.drivers.keys()],
  }
}
