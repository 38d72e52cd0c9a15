/**
 * The library's second entry: `import { openModel } from 'isogroup/model'`. A machine with a Linux kernel in
 * memory, for learning how isolation works and for testing software that needs an IOMMU without having one.
 *
 *     const machine = await openModel('desktop')                  // a built-in machine, or one you describe
 *     await machine.kernel.write('/sys/bus/pci/drivers/nvme/unbind', text('0000:02:00.0'), 1000)
 *     const groups = machine.host.snapshot().groups               // for the functions of 'isogroup'
 *
 * Files, ioctls, errnos, events and their order are those of Linux on that machine. Two runs of the same
 * calls give the same answers: there is no clock, no randomness, and nothing of the computer it runs on. A
 * machine is garbage like any other object once nobody holds it.
 */
import type { Host } from '../isolation/host.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { linuxHost } from '../linux/linux-host.ts'
import { buildMachine } from '../model/machine/builder.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import { bootModel } from '../model/model.ts'
import type { MachineText } from './machine-text.ts'
import { type ModelDevice, modelDevice } from './model-device.ts'
import { MODEL_FORMAT, parseModel } from './model-file.ts'
import { kernelOf } from './model-host.ts'
import { handsFor } from './model-plug.ts'
import { type ModelContext, type ModelEvent, type ModelFault, watchModel } from './model-watch.ts'
import { builtInMachine } from './open-host.ts'

export { encodeStructure, type Structure } from '../kernel/abi/structure.ts'
export {
  CONTAINER_REQUEST,
  DEVICE_FEATURE,
  DEVICE_INFO,
  DEVICE_REQUEST,
  DIRTY_BITMAP,
  DIRTY_FLAG,
  DMA_MAP,
  DMA_UNMAP,
  EXTENSION,
  FEATURE_FLAG,
  GROUP_REQUEST,
  GROUP_STATUS,
  HOT_RESET,
  HOT_RESET_INFO,
  IRQ_INFO,
  IRQ_SET,
  IRQ_SET_FLAG,
  MAP_FLAG,
  REGION_INFO,
  TYPE1_INFO,
  UNMAP_FLAG,
} from '../kernel/abi/vfio.ts'
export {
  type EventCounter,
  type EventSource,
  type Handle,
  type Kernel,
  KernelError,
  type Memory,
} from '../kernel/kernel.ts'
export { deviceKinds } from '../model/hardware/devices/catalogue.ts'
export type { DeviceText, FunctionText, IommuText, MachineText } from './machine-text.ts'
export type { ModelDevice } from './model-device.ts'
export type { ModelContext, ModelEvent, ModelFault } from './model-watch.ts'
export { machineNames } from './open-host.ts'

/** A process to see the machine as. */
export interface Someone {
  /** As messages of the kernel name it. Absent: "program". */
  readonly name?: string
  /** 0 has all capabilities, everybody else none. */
  readonly uid: number
  /** RLIMIT_MEMLOCK in bytes; Infinity = unlimited. Absent: 8 MiB, as since 5.16. */
  readonly memlockLimit?: number
}

/** What a process sees and does; its descriptors and its memory are its own. */
export interface SomeonesKernel extends Kernel {
  /** The process ends, however: the kernel closes all it had open. */
  kill(): Promise<void>
}

export interface ModelMachine {
  readonly name: string
  /** What root sees and does, by the calls that Linux has. */
  readonly kernel: Kernel
  /** For the functions of 'isogroup': snapshot, assessment, explanation. Looks afresh at each call. */
  readonly host: Host
  /** Another process on the same machine. */
  as(someone: Someone): SomeonesKernel
  /**
   * Somebody plugs a device in, and the kernel notices.
   * @param kind one of `deviceKinds()`
   * @param port address of a port or bridge with a free slot behind it, or a root bus ("0000:00")
   * @returns its address @throws KernelError ENODEV (no such kind or port), ENOSPC (no free slot)
   */
  plug(kind: string, port: string): Promise<string>
  /**
   * Somebody pulls out what is in a slot, ready or not. Resolves when the kernel has let go of it, which
   * waits for users of the device.
   * @throws KernelError ENODEV
   */
  pull(address: string): Promise<void>
  /** @throws KernelError ENODEV when the kernel knows no such function */
  device(address: string): ModelDevice
  /** Every IOMMU context that a group points at now. */
  contexts(): readonly ModelContext[]
  /** What IOMMUs refused since the last call; hardware records only so many. */
  faults(): readonly ModelFault[]
  /** Log lines and uevents since the last call, or since the boot, in the order they happened. */
  events(): readonly ModelEvent[]
  /** dmesg since power-on, without time stamps; grows. */
  readonly log: readonly string[]
}

/**
 * Boots a machine. A large one takes as long as its functions are many (10,000: about a second).
 *
 * @param machine name of a built-in machine (`machineNames()`), or what it is made of
 * @throws IsogroupError no-source, bad-machine
 */
export async function openModel(machine: string | MachineText): Promise<ModelMachine> {
  const description = typeof machine === 'string' ? await builtInMachine(machine) : built(machine)
  const model = bootModel(description)
  const kernel = kernelOf(model)
  return {
    name: description.name,
    kernel,
    host: linuxHost(kernel, `model ${description.name}`),
    as: ({ name = 'program', ...who }) => kernel.as(model.createProcess({ name, ...who })),
    device: (address) => modelDevice(model, address),
    log: model.context.log,
    ...handsFor(model),
    ...watchModel(model),
  }
}

function built(machine: MachineText): MachineDescription {
  const defaults = {
    format: MODEL_FORMAT,
    version: 1,
    name: 'machine',
    title: 'described by a program',
  }
  return buildMachine(parseModel({ ...defaults, ...machine }).form)
}
