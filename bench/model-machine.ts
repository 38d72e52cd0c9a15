/** A VT-d unit with many functions, each on a bus of its own and so a group of its own. */
import { parseKernelVersion } from '../src/base/kernel-version.ts'
import { Bus } from '../src/model/driver-core/bus.ts'
import { Device } from '../src/model/driver-core/device.ts'
import { configSpace } from '../src/model/hardware/config-space.ts'
import { GenericFunction } from '../src/model/hardware/devices/generic.ts'
import type { IommuUnit } from '../src/model/iommu/unit.ts'
import { createUnits } from '../src/model/iommu/units.ts'
import { physicalMemory } from '../src/model/memory/physical-memory.ts'
import { PciBus } from '../src/model/pci/pci-bus.ts'
import { PciDevice } from '../src/model/pci/pci-device.ts'
import { formatBus } from '../src/pci/address.ts'

/** 48 bits with 4 levels, pages of 4 KiB to 1 GiB. */
const ATTRIBUTES = { cap: 'd2008c222f0486', ecap: 'f050da' }

export interface TranslatingMachine {
  readonly unit: IommuUnit
  /** Function n has requester id (n + 1) << 8. */
  readonly devices: readonly PciDevice[]
}

export function translatingMachine(functions: number): TranslatingMachine {
  const version = parseKernelVersion('6.12')
  if (version === null) throw new Error('no version')
  const context = { version, log: [], memory: physicalMemory(2 ** 31) }
  const [unit] = createUnits(context, {
    kind: 'intel',
    interruptRemapping: true,
    units: [{ name: 'dmar0', attributes: ATTRIBUTES, scope: null }],
    defaultDomain: 'DMA',
    reserved: [],
  })
  if (unit === undefined) throw new Error('no unit')
  return { unit, devices: Array.from({ length: functions }, (_, n) => endpoint(n + 1)) }
}

const BUS = new Bus('pci', {
  match: () => false,
  configureDma: () => undefined,
  cleanUpDma: () => undefined,
})

/** The only function of a root bus. */
function endpoint(bus: number): PciDevice {
  const bytes = new Uint8Array(256)
  bytes.set([0x86, 0x80, 0xd3, 0x10])
  return new PciDevice({
    at: { domain: 0, bus, device: 0, function: 0 },
    bus: BUS,
    parent: new Device({ name: `pci${formatBus(0, bus)}`, parent: null, bus: null }),
    pciBus: new PciBus(0, bus, null, null),
    hardware: new GenericFunction('bench', configSpace(bytes, []), []),
  })
}
