/** Small machines with a PCI subsystem, for tests: plug, scan, read and write files. */
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { KernelContext } from '../context.ts'
import { registerDriver } from '../driver-core/bind.ts'
import { busDirectory } from '../driver-core/bus-directory.ts'
import { coreAttributes } from '../driver-core/core-attributes.ts'
import type { Driver } from '../driver-core/driver.ts'
import { BareFunction } from '../hardware/bare-function.case.ts'
import { type Capability, pciExpress } from '../hardware/capabilities.ts'
import { buildConfig, type ConfigDescription } from '../hardware/config-build.ts'
import { configSpace } from '../hardware/config-space.ts'
import type { Bar } from '../hardware/function.ts'
import { type HardwareBus, Slots } from '../hardware/slots.ts'
import { testContext } from '../iommu/fake-unit.case.ts'
import type { Credentials } from '../process.ts'
import { FileTree } from '../sysfs/file-tree.ts'
import { directory } from '../sysfs/node.ts'
import { runNow, type Task } from '../task.ts'
import type { PciDevice } from './pci-device.ts'
import type { PciOptions } from './pci-state.ts'
import { PciSubsystem } from './pci-subsystem.ts'

const ROOT: Credentials = {
  uid: 0,
  capabilities: new Set(['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE']),
}
export const USER: Credentials = { uid: 1000, capabilities: new Set() }

export interface FunctionTraits extends Partial<ConfigDescription> {
  /** null = conventional; absent = endpoint. */
  readonly type?: number | null
  readonly more?: readonly Capability[]
  readonly flr?: boolean
  readonly hotPlug?: boolean
  readonly ariForwarding?: boolean
}

export function endpoint(traits: FunctionTraits = {}): BareFunction {
  const { type = PCIE_TYPE.endpoint, more = [], flr = false, bars = [] } = traits
  const { hotPlug = false, ariForwarding = false } = traits
  const express = { type: type ?? 0, flr, hotPlug, ariForwarding }
  const bytes = buildConfig({
    vendor: 0x8086,
    device: 0x10d3,
    classCode: 0x020000,
    capabilities: [...(type === null ? [] : [pciExpress(express)]), ...more],
    ...traits,
  })
  return new BareFunction(configSpace(bytes, bars), bars)
}

export function bridge(type: number | null, traits: FunctionTraits = {}): BareFunction {
  return endpoint({
    vendor: 0x1b36,
    device: 0x000c,
    classCode: 0x060400,
    headerType: 1,
    type,
    ...traits,
  })
}

export const MEMORY_BAR: Bar = { index: 0, size: 0x20000, kind: 'mem32', prefetchable: false }

export class World {
  readonly context: KernelContext
  readonly slots: Slots = new Slots()
  readonly root: HardwareBus = this.slots.addRoot('0000:00')
  readonly pci: PciSubsystem
  readonly files: FileTree
  /** "add 0000:01:00.0", "bind 0000:01:00.0" */
  readonly events: string[] = []

  constructor(options: PciOptions = {}, release?: string, commandLine?: string) {
    this.context = testContext(release, commandLine)
    this.pci = new PciSubsystem(this.context, this.slots, options)
    this.context.uevents.listen(({ action, devpath }) => {
      this.events.push(`${action} ${devpath.split('/').at(-1) ?? ''}`)
    })
    const core = coreAttributes(this.context)
    this.files = new FileTree(
      directory({
        bus: () => directory({ pci: () => busDirectory(this.context, this.pci.bus) }),
        class: () => this.context.devices.classes(),
        devices: () => this.context.devices.directory(core),
      }),
    )
  }

  /** @param place devfn as "slot.function" */
  plug(fn: BareFunction, bus: HardwareBus, place: string): BareFunction {
    const [slot = '', number = '0'] = place.split('.')
    this.slots.plug(fn, bus, (parseInt(slot, 16) << 3) | Number(number))
    return fn
  }

  below(fn: BareFunction): HardwareBus {
    return this.slots.below(fn)
  }

  run<T>(task: Task<T>): T {
    return runNow(task)
  }

  scan(): void {
    runNow(this.pci.scan())
  }

  device(address: string): PciDevice {
    const device = this.pci.device(address)
    if (device === undefined) throw new Error(`${address} is not there`)
    return device
  }

  get addresses(): readonly string[] {
    return [...this.pci.bus.devices.keys()]
  }

  /** A driver that takes the ids, or nothing by itself. */
  driver(
    name: string,
    ids: readonly (readonly [number, number])[] = [],
    more: Partial<Driver> = {},
  ): Driver {
    const driver: Driver = {
      name,
      bus: this.pci.bus,
      module: null,
      managesDma: false,
      isVfio: false,
      ids: ids.map(([vendor, device]) => ({
        vendor,
        device,
        subvendor: null,
        subdevice: null,
        class: 0,
        classMask: 0,
        overrideOnly: false,
        driverData: 0,
      })),
      dynamicIds: [],
      takesIds: true,
      *probe(): Task<void> {
        // Takes everything.
      },
      *remove(): Task<void> {
        // Lets go at once.
      },
      ...more,
    }
    runNow(registerDriver(this.context, driver))
    return driver
  }

  read(address: string, file: string, who: Credentials = ROOT): string {
    const content = this.files.read(`/bus/pci/devices/${address}/${file}`, who)
    return typeof content === 'string' ? content : String.fromCharCode(...content)
  }

  write(address: string, file: string, text: string, who: Credentials = ROOT): void {
    this.writeFile(`/bus/pci/devices/${address}/${file}`, text, who)
  }

  writeFile(path: string, text: string, who: Credentials = ROOT): void {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
    runNow(this.files.write(path, bytes, who))
  }

  exists(address: string, file: string): boolean {
    return this.files.exists(`/bus/pci/devices/${address}/${file}`)
  }

  link(address: string, name: string): string {
    return this.files.link(`/bus/pci/devices/${address}/${name}`)
  }
}
