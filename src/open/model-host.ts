/** Machines booted on the model, behind the same ports as a real host. */
import type { Host } from '../isolation/host.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { linuxHost } from '../linux/linux-host.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import { bootModel } from '../model/model.ts'
import { modelKernel } from '../model/model-kernel.ts'

/** Boots the machine and gives the kernel as root sees it. */
export function bootKernel(machine: MachineDescription): Kernel {
  const clock = {
    after: (milliseconds: number, callback: () => void): (() => void) => {
      const timer = setTimeout(callback, milliseconds)
      return () => {
        clearTimeout(timer)
      }
    },
  }
  return modelKernel(bootModel(machine), { clock })
}

/** The booted machine as a host to look at; it brings its own names of devices. */
export function modelHost(machine: MachineDescription): Host {
  return linuxHost(bootKernel(machine), `model ${machine.name}`)
}
