/** Contexts and devices for the tests of IOMMU units: just enough of a machine. */
import { parseKernelVersion } from '../../../base/kernel-version.ts'
import { formatAddress, parseAddress } from '../../../pci/address.ts'
import { Bus } from '../../driver-core/bus.ts'
import { Device } from '../../driver-core/device.ts'
import { configSpace } from '../../hardware/config-space.ts'
import type { HardwareFunction } from '../../hardware/function.ts'
import type { IommuDescription } from '../../machine/description.ts'
import { physicalMemory } from '../../memory/physical-memory.ts'
import { PciBus } from '../../pci/pci-bus.ts'
import { PciDevice } from '../../pci/pci-device.ts'
import type { UnitContext } from '../unit-context.ts'

export function context(release = '6.12.0', bytes: number = 256 * 2 ** 20): UnitContext {
  const version = parseKernelVersion(release)
  if (version === null) throw new Error(release)
  return { version, log: [], memory: physicalMemory(bytes) }
}

export function description(
  kind: IommuDescription['kind'],
  changes: Partial<IommuDescription> = {},
): IommuDescription {
  return {
    kind,
    interruptRemapping: true,
    units: [{ name: kind === 'amd' ? 'ivhd0' : 'dmar0', attributes: {}, scope: null }],
    defaultDomain: 'DMA',
    reserved: [],
    ...changes,
  }
}

const BUS = new Bus('pci', {
  match: () => false,
  configureDma: () => undefined,
  cleanUpDma: () => undefined,
})

interface Traits {
  /** The bridge above; absent = on a root bus. */
  readonly below?: PciDevice
  readonly pcieType?: number | null
  readonly vendor?: number
  readonly device?: number
  readonly classCode?: number
  readonly headerType?: number
  readonly extended?: readonly number[]
}

const roots = new Map<number, PciBus>()

/** A function; a bridge gets its secondary bus when something is put below it. */
export function pciDevice(address: string, traits: Traits = {}): PciDevice {
  const at = parseAddress(address)
  if (at === null) throw new Error(address)
  const pciBus = traits.below === undefined ? rootBus(at.bus) : busBelow(traits.below, at.bus)
  const config = configSpace(registers(traits), [])
  const hardware = { config } as unknown as HardwareFunction
  const parent = traits.below ?? new Device({ name: 'pci0000:00', parent: null, bus: null })
  const made = new PciDevice({ at, bus: BUS, parent, pciBus, hardware })
  made.pcieType = traits.pcieType === undefined ? 0 : traits.pcieType
  return made
}

/** Functions 0000:01:00.0, 0000:02:00.0, ... each on a bus of its own below a root port. */
export function pciDevices(count: number): readonly PciDevice[] {
  return Array.from({ length: count }, (_, n) => {
    const port = { domain: 0, bus: 0, device: n >> 3, function: n & 7 }
    const below = pciDevice(formatAddress(port), { pcieType: 4, headerType: 1 })
    return pciDevice(formatAddress({ domain: 0, bus: n + 1, device: 0, function: 0 }), { below })
  })
}

/** The header, and extended capabilities of 16 empty bytes each. */
function registers(traits: Traits): Uint8Array {
  const bytes = new Uint8Array(4096)
  const view = new DataView(bytes.buffer)
  view.setUint16(0x00, traits.vendor ?? 0x8086, true)
  view.setUint16(0x02, traits.device ?? 0x10d3, true)
  view.setUint32(0x08, (traits.classCode ?? 0x020000) * 256, true)
  view.setUint8(0x0e, traits.headerType ?? 0)
  for (const [n, id] of (traits.extended ?? []).entries()) {
    const at = 0x100 + 16 * n
    const next = n + 1 === traits.extended?.length ? 0 : at + 16
    view.setUint32(at, id + 0x10000 + next * 0x100000, true)
  }
  return bytes
}

function rootBus(number: number): PciBus {
  const bus = roots.get(number) ?? new PciBus(0, number, null, null)
  roots.set(number, bus)
  return bus
}

function busBelow(bridge: PciDevice, number: number): PciBus {
  bridge.subordinate ??= new PciBus(bridge.at.domain, number, bridge.pciBus, bridge)
  return bridge.subordinate
}
