/**
 * Small machines with the real parts of the kernel below VFIO, for its tests: VT-d, the PCI subsystem,
 * devices of the parts bin. Programs are processes of it.
 */
import { parseKernelVersion } from '../../base/kernel-version.ts'
import type { KernelContext } from '../context.ts'
import { bindDriver, registerDriver, releaseDriver } from '../driver-core/bind.ts'
import { Devices } from '../driver-core/devices.ts'
import type { Driver } from '../driver-core/driver.ts'
import { Uevents } from '../driver-core/uevents.ts'
import { Errno } from '../errno.ts'
import { EventCounter } from '../event-counter.ts'
import { type DeviceTemplate, deviceTemplate } from '../hardware/devices/catalogue.ts'
import { Fabric } from '../hardware/fabric.ts'
import type { Slots } from '../hardware/slots.ts'
import { IommuCore } from '../iommu/iommu-core.ts'
import { createUnits } from '../iommu/units.ts'
import type { IommuDescription } from '../machine/description.ts'
import { plugMachine } from '../machine/plug-machine.ts'
import { physicalMemory } from '../memory/physical-memory.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import { PciSubsystem } from '../pci/pci-subsystem.ts'
import { runNow, Scheduler, type Task } from '../task.ts'
import { type ProcessInit, UserProcess } from '../user-process.ts'
import { REQUEST } from './vfio-abi.ts'
import { VfioCore } from './vfio-core.ts'
import { vfioPciDriver } from './vfio-pci.ts'

export interface TestMachine {
  readonly context: KernelContext
  readonly slots: Slots
  readonly fabric: Fabric
  readonly pci: PciSubsystem
  readonly iommu: IommuCore
  readonly vfio: VfioCore
  readonly vfioPci: Driver
  /** A driver that does DMA for itself. */
  readonly native: Driver
  /** Does no DMA. */
  readonly stub: Driver
  /** Actions and paths of uevents since boot. */
  readonly events: string[]
}

export interface TestMachineOptions {
  readonly release?: string
  readonly commandLine?: string
  readonly interruptRemapping?: boolean
  readonly kind?: IommuDescription['kind']
  readonly reserved?: IommuDescription['reserved']
  /** Registers of each unit; the second one has the device at 02:00.0 in its scope. */
  readonly units?: readonly { readonly cap: string; readonly ecap: string }[]
}

export const NIC = '0000:01:00.0'
export const NIC_B = '0000:01:00.1'
export const EDU = '0000:02:00.0'
export const NVME = '0000:03:00.0'
export const PORT = '0000:00:01.0'

/** QEMU's VT-d: 39 bits, 4K, 2M and 1G pages, snoop control, interrupt remapping. */
export const VTD = { cap: 'd2008c22260206', ecap: 'f00f5a' }
const EXTENDED_AMD = { cap: '0', features: '0' }

/**
 * Three root ports with ACS: a network card with two functions, a teaching device, an NVMe controller
 * with virtual functions.
 */
export function testMachine(options: TestMachineOptions = {}): TestMachine {
  const release = options.release ?? '6.12.117'
  const version = parseKernelVersion(release)
  if (version === null) throw new Error(release)
  const context: KernelContext = {
    version,
    release,
    commandLine: options.commandLine ?? '',
    log: [],
    uevents: new Uevents(),
    devices: new Devices(),
    memory: physicalMemory(256 * 2 ** 20),
    scheduler: new Scheduler(),
  }
  const description = iommuDescription(options)
  const { slots } = plugMachine({
    name: 'test',
    title: 'test',
    kernelRelease: release,
    commandLine: '',
    cpu: { vendor: 'GenuineIntel', flags: [] },
    acpiTables: [],
    memoryBytes: 0,
    iommu: description,
    functions: [
      at('root-port', PORT, null),
      at('root-port', '0000:00:02.0', null),
      at('root-port', '0000:00:03.0', null),
      at('nic', NIC, PORT, true),
      at('nic', NIC_B, PORT, true),
      at('edu', EDU, '0000:00:02.0'),
      at('nvme-sriov', NVME, '0000:00:03.0'),
    ],
    hostedBuses: [],
    drivers: [],
    names: {},
  })
  const iommu = new IommuCore(context)
  const pci = new PciSubsystem(context, slots, { dma: iommu, requestsAcs: true })
  const fabric = new Fabric(slots, context.memory, (fn) => {
    const device = pci.byHardware.get(fn)
    return iommu.units.find((unit) => device !== undefined && unit.covers(device))?.hardware ?? null
  })
  runNow(pci.scan())
  for (const unit of createUnits(context, description)) iommu.registerUnit(unit, [pci.bus])
  fabric.rewired()
  const events: string[] = []
  context.uevents.listen(({ action, devpath }) => events.push(`${action} ${devpath}`))
  const vfio = new VfioCore(context, iommu, pci)
  const vfioPci = vfioPciDriver(context, vfio, fabric)
  const native = plainDriver(pci, 'native', false)
  const stub = plainDriver(pci, 'pci-stub', true)
  for (const driver of [native, stub, vfioPci]) runNow(registerDriver(context, driver))
  events.length = 0
  return { context, slots, fabric, pci, iommu, vfio, vfioPci, native, stub, events }
}

function iommuDescription(options: TestMachineOptions): IommuDescription {
  const kind = options.kind ?? 'intel'
  const units = kind === 'amd' ? [EXTENDED_AMD] : (options.units ?? [VTD])
  return {
    kind,
    interruptRemapping: options.interruptRemapping ?? true,
    units: units.map((attributes, index) => ({
      name: kind === 'amd' ? 'ivhd0' : `dmar${String(index)}`,
      attributes: { ...attributes },
      scope: index === units.length - 1 ? null : ['0000:00:02.0'],
    })),
    defaultDomain: 'DMA-FQ',
    reserved: options.reserved ?? [],
  }
}

function at(
  kind: string,
  address: string,
  parent: string | null,
  multifunction = false,
): DeviceTemplate & { at: string; parent: string | null } {
  const template = deviceTemplate(kind, { multifunction })
  if (template === undefined) throw new Error(`no device of kind ${kind}`)
  return { ...template, at: address, parent }
}

function plainDriver(pci: PciSubsystem, name: string, managesDma: boolean): Driver {
  const nothing = function* (): Task<void> {
    // Nothing to do.
  }
  return {
    name,
    bus: pci.bus,
    module: null,
    managesDma,
    isVfio: false,
    ids: [],
    dynamicIds: [],
    takesIds: true,
    probe: nothing,
    remove: nothing,
  }
}

export function deviceAt({ pci }: TestMachine, address: string): PciDevice {
  const device = pci.device(address)
  if (device === undefined) throw new Error(`nothing at ${address}`)
  return device
}

/** Binds as writing to driver_override and `bind` does. */
export function bind(
  machine: TestMachine,
  address: string,
  driver: TestMachine['vfioPci'] = machine.vfioPci,
): void {
  const device = deviceAt(machine, address)
  device.driverOverride = driver.name
  runNow(bindDriver(machine.context, device, driver))
}

/** @throws Errno EDEADLK when it would sleep */
export function unbind(machine: TestMachine, address: string): void {
  runNow(releaseDriver(machine.context, deviceAt(machine, address)))
}

export function groupOf(machine: TestMachine, address: string): number {
  const { iommuGroup } = deviceAt(machine, address)
  if (iommuGroup === null) throw new Error(`${address} has no group`)
  return iommuGroup.id
}

/** Calls of one process by descriptor, as a program makes them. */
export class Program {
  readonly machine: TestMachine
  readonly process: UserProcess

  constructor(machine: TestMachine, init: Partial<ProcessInit> = {}) {
    this.machine = machine
    this.process = new UserProcess(machine.context, { name: 'program', pid: 100, ...init })
  }

  open(path: string): number {
    return this.process.install(this.machine.vfio.open(path, this.process))
  }

  ioctl(descriptor: number, request: number, argument: number | Uint8Array = 0): number {
    const file = this.process.file(descriptor)
    if (file.ioctl === undefined) throw new Errno('ENOTTY')
    return file.ioctl(request, argument, this.process)
  }

  close(descriptor: number): void {
    runNow(this.process.close(descriptor))
  }

  exit(): void {
    runNow(this.process.exit())
  }

  /** A container with these groups and an IOMMU. @returns descriptors */
  container(addresses: readonly string[], type = 3): { container: number; groups: number[] } {
    const container = this.open('/dev/vfio/vfio')
    const groups = addresses.map((address) => this.group(address))
    for (const group of groups) this.setContainer(group, container)
    this.ioctl(container, REQUEST.setIommu, type)
    return { container, groups }
  }

  group(address: string): number {
    return this.open(`/dev/vfio/${String(groupOf(this.machine, address))}`)
  }

  setContainer(group: number, container: number): void {
    this.ioctl(group, REQUEST.groupSetContainer, words(container))
  }

  device(group: number, name: string): number {
    return this.ioctl(group, REQUEST.groupGetDeviceFd, text(name))
  }

  /** Everything up to a device. */
  drive(address: string): { container: number; group: number; device: number } {
    const { container, groups } = this.container([address])
    const [group = -1] = groups
    return { container, group, device: this.device(group, address) }
  }

  counter(): { counter: EventCounter; descriptor: number } {
    const counter = new EventCounter()
    return { counter, descriptor: this.process.install(counter) }
  }

  /** Zeroed memory. */
  memory(pages: number): { address: number; bytes: Uint8Array; release(): void } {
    return this.process.memory.allocate(pages * 4096)
  }

  map(container: number, address: number, iova: number, pages: number, flags = 3): void {
    this.ioctl(
      container,
      REQUEST.iommuMapDma,
      words(32, flags, ...wide(address), ...wide(iova), ...wide(pages * 4096)),
    )
  }

  /** @returns bytes unmapped */
  unmap(container: number, iova: number, bytes: number, flags = 0): number {
    const argument = words(24, flags, ...wide(iova), ...wide(bytes))
    this.ioctl(container, REQUEST.iommuUnmapDma, argument)
    const view = new DataView(argument.buffer)
    return view.getUint32(16, true) + view.getUint32(20, true) * 2 ** 32
  }

  config(device: number, offset: number, size: 1 | 2 | 4): number {
    return number(this.process.file(device).read?.(7 * 2 ** 40 + offset, size))
  }

  setConfig(device: number, offset: number, size: 1 | 2 | 4, value: number): void {
    const bytes = new Uint8Array(size)
    for (let n = 0; n < size; n += 1) bytes[n] = value >>> (8 * n)
    this.process.file(device).write?.(7 * 2 ** 40 + offset, bytes)
  }
}

/** u32 values as bytes. */
export function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4)
  const view = new DataView(bytes.buffer)
  values.forEach((value, index) => {
    view.setUint32(index * 4, value >>> 0, true)
  })
  return bytes
}

/** A 64-bit number as two words. */
export function wide(value: number): [number, number] {
  return [value % 2 ** 32, Math.floor(value / 2 ** 32)]
}

/** Zero-terminated. */
export function text(value: string): Uint8Array {
  return Uint8Array.from(Array.from(`${value}\0`, (character) => character.charCodeAt(0)))
}

export function number(bytes: Uint8Array | undefined): number {
  let value = 0
  for (const byte of [...(bytes ?? [])].reverse()) value = value * 256 + byte
  return value
}

/** u32 values of a buffer. */
export function fields(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length >> 2 }, (_, n) => view.getUint32(n * 4, true))
}

/** The errno of what must fail; "ok" when it does not. */
export function errnoOf(body: () => unknown): string {
  try {
    body()
    return 'ok'
  } catch (error) {
    if (error instanceof Errno) return error.code
    throw error
  }
}
