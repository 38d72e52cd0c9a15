/**
 * The drivers that every model machine has, in the order in which they register: built-in ones
 * first. A function is offered to them in this order, so where two would take it the first one
 * wins.
 *
 * Which of them manage DMA ownership themselves (driver_managed_dma): pcieport and pci-stub do,
 * shpchp and uio_pci_generic do not, though neither does DMA.
 */
import { atLeast } from '../../base/kernel-version.ts'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { Driver } from '../driver-core/driver.ts'
import { Errno } from '../errno.ts'
import type { DriverDescription } from '../machine/description.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import { enableDevice } from '../pci/power.ts'
import type { Service } from './class-devices.ts'
import { classId, deviceId, listedIds } from './device-ids.ts'
import { DeviceNames } from './device-names.ts'
import type { DriverServices } from './driver-services.ts'
import { startNic, stopNic } from './nic-start.ts'
import { startNvme, stopNvme } from './nvme-start.ts'
import { type PciDriverPlan, pciDriver } from './pci-driver.ts'

const BRIDGE = 0x060400
const NVM_EXPRESS = 0x010802
const NVME_BYTES = 8192
const FIRST_BAR = 0x10
const SUBTRACTIVE_BRIDGE = 0x060401
const EVENT_COLLECTOR = 0x080700
const REDHAT = 0x1af4
const INTEL = 0x8086
/** The host bridge of QEMU's q35 is one. */
const G33_HOST_BRIDGE = 0x29c0
/** Pages that a driver without modelled hardware maps. */
const SOME_PAGES = 2

/**
 * Drivers of a machine: the ones every model knows, then those that its description adds.
 * Registering them is the caller's business, as is choosing which modules are loaded.
 */
export function knownDrivers(
  services: DriverServices,
  described: readonly DriverDescription[] = [],
): readonly Driver[] {
  const names = new DeviceNames()
  const plans = [...ports(services), ...modules()]
  const known = new Set(plans.map(({ name }) => name))
  const others = described.filter(({ name }) => !known.has(name)).map(planOf)
  return [...plans, ...others].map((plan) => pciDriver(plan, services, names))
}

/** A driver of which only ids and DMA behaviour are known. */
function planOf({ name, module, managesDma, ids }: DriverDescription): PciDriverPlan {
  return {
    name,
    module,
    managesDma,
    ids: ids.map(({ vendor, device }) => deviceId(vendor, device)),
    pages: managesDma ? 0 : SOME_PAGES,
  }
}

/** drivers/pci/pcie/portdrv.c, drivers/pci/hotplug/shpchp_core.c and drivers/char/agp/intel-agp.c. */
function ports(services: DriverServices): readonly PciDriverPlan[] {
  return [
    {
      name: 'pcieport',
      module: null,
      managesDma: true,
      ids: [classId(BRIDGE), classId(SUBTRACTIVE_BRIDGE), classId(EVENT_COLLECTOR)],
      pages: 0,
      refuse: refusePort,
      // Its interrupts for power management events are messages; others get by without.
      mastersBus: ({ pcieType }) =>
        pcieType === PCIE_TYPE.rootPort || pcieType === PCIE_TYPE.eventCollector,
      enabled: (device) => listenForWakeup(services, device),
    },
    {
      name: 'shpchp',
      module: 'shpchp',
      ids: [classId(BRIDGE)],
      pages: 0,
      // Whether firmware leaves hot plug to the kernel (ACPI _OSC) only a description can tell.
      refuse: (device) =>
        services.describe(device.name)?.driver === 'shpchp' ? null : refuseSlots(services, device),
    },
    {
      name: 'agpgart-intel',
      module: 'intel_agp',
      ids: [deviceId(INTEL, G33_HOST_BRIDGE)],
      pages: 0,
      // It looks at every host bridge of its list and stays only where graphics are built in.
      refuse: ({ name }) =>
        services.describe(name)?.driver === 'agpgart-intel'
          ? null
          : new Errno('ENODEV', 'no graphics in the chipset'),
    },
  ]
}

/**
 * pcie_pme_mark_devices(): a root port that listens for power management events lets everything below it
 * wake the machine; who could not before gets its wakeup files, which the kernel tells by "change".
 */
function listenForWakeup({ context }: DriverServices, port: PciDevice): void {
  if (port.pcieType !== PCIE_TYPE.rootPort) return
  const mark = (device: PciDevice): void => {
    if (!device.canWakeup) context.uevents.emit('change', device)
    device.canWakeup = true
    for (const child of device.subordinate?.devices ?? []) mark(child)
  }
  mark(port)
}

/** pcie_portdrv_probe(): PCI Express ports and event collectors only. */
function refusePort({ pcieType }: PciDevice): Errno | null {
  const { rootPort, upstreamPort, downstreamPort, eventCollector } = PCIE_TYPE
  const taken: readonly (number | null)[] = [rootPort, upstreamPort, downstreamPort, eventCollector]
  return taken.includes(pcieType) ? null : new Errno('ENODEV', 'not a PCI Express port')
}

const SHPC = 0x0c

/**
 * shpchp's probe() where ACPI's hot plug came first: registering the slot fails because its name is
 * taken, and the bridge stays enabled. 6.1 calls every failure ENODEV, 6.12 passes it on.
 */
function refuseSlots({ context, firmwareHotPlug }: DriverServices, device: PciDevice): Errno {
  if (firmwareHotPlug !== true || device.hardware.config.capability(SHPC) === 0) {
    return new Errno('ENODEV', 'hot plug belongs to firmware')
  }
  enableDevice(device)
  const code = atLeast(context.version, 6, 12) ? 'EBUSY' : 'ENODEV'
  return new Errno(code, 'its slot is registered already')
}

/** Made when asked: the tables have a thousand ids. */
function modules(): readonly PciDriverPlan[] {
  return [
    {
      name: 'virtio-pci',
      module: 'virtio_pci',
      ids: [{ ...deviceId(REDHAT, 0), device: null }],
      pages: SOME_PAGES,
      sriov: 'simple',
      // Legacy ids are 1000-103f, modern ones 1040-107f.
      refuse: ({ device }) =>
        device >= 0x1000 && device <= 0x107f ? null : new Errno('ENODEV', 'no virtio id'),
    },
    { name: 'ahci', module: 'ahci', ids: [...listedIds('ahci'), classId(0x010601)], pages: 2 },
    { name: 'xhci_hcd', module: 'xhci_pci', ids: [classId(0x0c0330)], pages: 4 },
    network('e1000', 'eth'),
    network('e1000e', 'eth'),
    // Probes in the background, so others that are loaded with it come first.
    nvme(),
    { ...network('igb', 'eth'), sriov: 'owned' },
    network('igbvf', 'eth'),
    { ...network('ixgbe', 'eth'), sriov: 'owned' },
    { ...network('iwlwifi', 'wlan'), pages: 4 },
    sound(),
    screen('i915', 'i915', listedIds('i915', DISPLAY)),
    screen('nouveau', 'nouveau', [classId(0x030000, 0xff0000, 0x10de)]),
    screen('bochs-drm', 'bochs', [deviceId(0x1234, 0x1111)]),
    { name: 'i801_smbus', module: 'i2c_i801', ids: listedIds('i801_smbus'), pages: 0 },
    { name: 'lpc_ich', module: 'lpc_ich', ids: listedIds('lpc_ich'), pages: 0, enables: false },
    { name: 'pci-stub', module: 'pci_stub', managesDma: true, ids: [], pages: 0, enables: false },
    {
      name: 'uio_pci_generic',
      module: 'uio_pci_generic',
      ids: [],
      pages: 0,
      refuse: refusePinless,
    },
  ]
}

/** Class 03xxxx. */
const DISPLAY = { class: 0x030000, classMask: 0xff0000 }

/** uio_pci_generic's probe(): without a legacy interrupt it has nothing to pass on. */
function refusePinless({ hardware }: PciDevice): Errno | null {
  return hardware.config.read(0x3d, 1) === 0 ? new Errno('ENODEV', 'no interrupt pin') : null
}

function nvme(): PciDriverPlan {
  return {
    name: 'nvme',
    module: 'nvme',
    ids: [...listedIds('nvme'), classId(NVM_EXPRESS)],
    pages: 3,
    refuse: (device) => (hasRegisters(device) ? null : new Errno('ENODEV', 'no registers')),
    enabled: refuseForeign,
    sriov: 'simple',
    services: (names) => {
      const controller = names.next('nvme', 'nvme')
      return [
        { class: 'nvme', name: controller },
        { class: 'block', name: names.take('block', `${controller}n1`) },
      ]
    },
    start: startNvme,
    stop: stopNvme,
  }
}

/**
 * nvme_dev_map(): a BAR with room for the registers and the first doorbells. Of a real controller the BARs may
 * not be known.
 */
function hasRegisters({ hardware, forgottenBars }: PciDevice): boolean {
  if (forgottenBars.has(FIRST_BAR)) return false
  const { bars } = hardware
  if (isNvme(hardware)) return true
  return bars.some(({ index, kind, size }) => index === 0 && kind !== 'io' && size >= NVME_BYTES)
}

/**
 * nvme_pci_enable(): what new_id or an override calls an NVMe controller, and is none, never gets ready.
 * Linux before 6.2 finds that out after it has bound the function, and lets go of it then (nvme_reset_work).
 */
function refuseForeign({ hardware }: PciDevice): void {
  if (!isNvme(hardware)) throw new Errno('ENODEV', 'no NVMe controller')
}

function isNvme({ config }: PciDevice['hardware']): boolean {
  return config.read(0x09, 4) % 2 ** 24 === NVM_EXPRESS
}

function network(name: string, prefix: string): PciDriverPlan {
  return {
    name,
    module: name,
    ids: listedIds(name),
    pages: 2,
    services: one('net', prefix),
    start: startNic,
    stop: stopNic,
  }
}

function sound(): PciDriverPlan {
  const vendors = [0x1022, 0x1002, 0x10de, 0x6766, 0x8086]
  return {
    name: 'snd_hda_intel',
    module: 'snd_hda_intel',
    ids: [
      ...listedIds('snd_hda_intel'),
      ...vendors.map((vendor) => classId(0x040300, 0xffffff, vendor)),
    ],
    pages: SOME_PAGES,
    services: one('sound', 'card'),
  }
}

function screen(name: string, module: string, ids: PciDriverPlan['ids']): PciDriverPlan {
  return { name, module, ids, pages: 8, services: one('drm', 'card') }
}

function one(className: string, prefix: string): (names: DeviceNames) => readonly Service[] {
  return (names) => [{ class: className, name: names.next(className, prefix) }]
}
