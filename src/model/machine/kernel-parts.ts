/**
 * Puts a kernel together over the hardware of a machine. Nothing runs yet: boot.ts does that.
 *
 * The parts know each other only as far as they have to: PCI asks the IOMMU core for DMA ownership, the
 * IOMMU core hears of devices through the bus, VFIO uses both.
 */
import { NEWEST_CHECKED, parseKernelVersion } from '../../base/kernel-version.ts'
import type { KernelContext } from '../context.ts'
import { coreAttributes } from '../driver-core/core-attributes.ts'
import { Devices } from '../driver-core/devices.ts'
import type { Driver } from '../driver-core/driver.ts'
import { Uevents } from '../driver-core/uevents.ts'
import { interruptLines } from '../files/interrupt-lines.ts'
import { type Module, modulesOf } from '../files/modules.ts'
import { rootDirectory } from '../files/root.ts'
import type { Cabling } from '../hardware/devices/nic/cabling.ts'
import { Fabric } from '../hardware/fabric.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import type { TranslationOf } from '../hardware/port.ts'
import type { Requester } from '../hardware/routing.ts'
import { trainLinks } from '../hardware/link-training.ts'
import type { Slots } from '../hardware/slots.ts'
import { DmaApi } from '../iommu/dma-api.ts'
import { IommuCore } from '../iommu/iommu-core.ts'
import type { IommuUnit } from '../iommu/unit.ts'
import { physicalMemory } from '../memory/physical-memory.ts'
import { PciDevice } from '../pci/pci-device.ts'
import { busKey } from '../pci/pci-state.ts'
import { PciSubsystem } from '../pci/pci-subsystem.ts'
import { FileTree } from '../sysfs/file-tree.ts'
import { Scheduler } from '../task.ts'
import { VfioCore } from '../vfio/vfio-core.ts'
import type { ProcessTable } from '../user-process.ts'
import type { FunctionDescription, MachineDescription } from './description.ts'
import { plugMachine } from './plug-machine.ts'

export interface KernelParts {
  readonly machine: MachineDescription
  readonly context: KernelContext
  readonly slots: Slots
  readonly cabling: Cabling
  readonly fabric: Fabric
  readonly pci: PciSubsystem
  readonly iommu: IommuCore
  readonly vfio: VfioCore
  readonly dma: DmaApi
  /** /sys, /proc, /dev and the few other files that programs look at. */
  readonly files: FileTree
  readonly processes: ProcessTable
  /** Drivers whose modules could be loaded and are not. */
  readonly unloaded: Driver[]
  /** What is known of functions beyond their registers, by address; hot-plugged ones join. */
  readonly descriptions: Map<string, FunctionDescription>
}

/** Models have no randomness: unless a boot is told which one it is, it is this one. */
const FIRST_BOOT = '00000000-0000-4000-8000-000000000001'

export function kernelParts(machine: MachineDescription, bootId: string = FIRST_BOOT): KernelParts {
  const context = kernelContext(machine)
  const { slots, cabling } = plugMachine(machine)
  trainLinks(slots)
  const descriptions = new Map(machine.functions.map((fn) => [fn.at, fn]))
  const iommu = new IommuCore(context, {
    ...(machine.iommu === null ? {} : { configuredDefault: machine.iommu.defaultDomain }),
  })
  const pci = new PciSubsystem(context, slots, {
    dma: iommu,
    requestsAcs: machine.iommu?.kind === 'intel' || machine.iommu?.kind === 'amd',
    resetMethods: (address) => descriptions.get(address)?.resetMethods,
    numaNode: (address) => descriptions.get(address)?.numaNode,
    firmwareHotPlug: machine.firmwareHotPlug ?? false,
  })
  const fabric = new Fabric(slots, context.memory, translation(pci, iommu))
  const dma = new DmaApi(context, iommu)
  const vfio = new VfioCore(context, iommu, pci)
  const processes: ProcessTable = new Map()
  const unloaded: Driver[] = []
  const shown = { machine, context, pci, iommu, vfio, processes, unloaded }
  const files = fileTree(shown, bootId)
  return { ...shown, slots, cabling, fabric, dma, descriptions, files }
}

function kernelContext(machine: MachineDescription): KernelContext {
  return {
    version: parseKernelVersion(machine.kernelRelease) ?? NEWEST_CHECKED,
    release: machine.kernelRelease,
    commandLine: machine.commandLine,
    log: [],
    uevents: new Uevents(),
    devices: new Devices(),
    memory: physicalMemory(machine.memoryBytes),
    scheduler: new Scheduler(),
  }
}

/**
 * Which unit a function's requests go to. Firmware wired that for good: a function that left the kernel
 * while it sits in its slot still has the unit it had.
 */
function translation(pci: PciSubsystem, { units }: IommuCore): TranslationOf {
  const wired = new WeakMap<HardwareFunction, IommuUnit>()
  return (fn, requester) => {
    const device = pci.byHardware.get(fn) ?? requesterDevice(pci, requester)
    const unit = device === null ? undefined : units.find((one) => one.covers(device))
    if (unit !== undefined) wired.set(fn, unit)
    return (unit ?? wired.get(fn))?.hardware ?? null
  }
}

/** The function that has the requester id, which virtual functions are found by, or the bridge above. */
function requesterDevice(pci: PciSubsystem, { domain, id }: Requester): PciDevice | null {
  const bus = pci.buses.get(busKey(domain, id >> 8))
  return bus?.function(id & 0xff) ?? bus?.bridge ?? null
}

function fileTree(
  parts: Pick<
    KernelParts,
    'machine' | 'context' | 'pci' | 'iommu' | 'vfio' | 'processes' | 'unloaded'
  >,
  bootId: string,
): FileTree {
  const { machine, context, pci, iommu, vfio, processes, unloaded } = parts
  const modules = (): ReadonlyMap<string, Module> =>
    modulesOf(context.version, pci.bus.drivers.values(), vfio.parameters.all)
  const devices = context.devices.directory(coreAttributes(context))
  return new FileTree(
    rootDirectory({
      context,
      machine,
      buses: [pci.bus],
      classes: context.devices.classes(),
      devices,
      iommu,
      vfio,
      modules,
      available: () => unloaded.flatMap(({ module }) => (module === null ? [] : [module])),
      processes,
      bootId,
      interrupts: () =>
        interruptLines({
          version: context.version,
          iommu: machine.iommu?.kind ?? null,
          units: iommu.units,
          devices: pciDevices(pci),
        }),
    }),
  )
}

function* pciDevices({ bus }: PciSubsystem): Iterable<PciDevice> {
  for (const device of bus.devices.values()) if (device instanceof PciDevice) yield device
}
