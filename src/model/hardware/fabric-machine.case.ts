/** Small wirings with a fabric and an IOMMU that is easy to foresee, for tests. */
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import { type PhysicalMemory, physicalMemory } from '../memory/physical-memory.ts'
import { BareFunction } from './bare-function.case.ts'
import { acs, type Capability, pciExpress } from './capabilities.ts'
import { buildConfig } from './config-build.ts'
import { configSpace } from './config-space.ts'
import { Fabric } from './fabric.ts'
import type { Bar } from './function.ts'
import type { Delivery } from './port.ts'
import { type HardwareBus, Slots } from './slots.ts'
import type { FaultRecord, Interrupt, TranslationHardware } from './translation.ts'

const BAR: Bar = { index: 0, size: 0x1000, kind: 'mem32', prefetchable: false }
const BUS_MASTER_AND_MEMORY = 0x6

export function endpoint(
  options: {
    type?: number | null
    multifunction?: boolean
    more?: readonly Capability[]
    extended?: readonly Capability[]
  } = {},
): BareFunction {
  const type = options.type === undefined ? PCIE_TYPE.endpoint : options.type
  const own = type === null ? [] : [pciExpress({ type, flr: true })]
  const bytes = buildConfig({
    vendor: 0x1234,
    device: 0x11e8,
    classCode: 0x00ff00,
    bars: [BAR],
    multifunction: options.multifunction ?? false,
    capabilities: [...own, ...(options.more ?? [])],
    extended: options.extended ?? [],
  })
  return new BareFunction(configSpace(bytes, [BAR]), [BAR])
}

/** @param type null = a conventional bridge */
export function bridge(
  type: number | null,
  options: { secondary: number; window?: [number, number]; acs?: number; multifunction?: boolean },
): BareFunction {
  const bytes = buildConfig({
    vendor: 0x1b36,
    device: 0x000c,
    classCode: 0x060400,
    headerType: 1,
    multifunction: options.multifunction ?? false,
    buses: { primary: 0, secondary: options.secondary, subordinate: options.secondary },
    capabilities: type === null ? [] : [pciExpress({ type })],
    extended: options.acs === undefined ? [] : [acs(0x5f)],
  })
  const config = configSpace(bytes, [])
  config.write(0x04, 2, BUS_MASTER_AND_MEMORY)
  const [first, last] = options.window ?? [0xf000, 0xf0f0]
  config.write(0x20, 2, first)
  config.write(0x22, 2, last)
  if (options.acs !== undefined) config.write(0x106, 2, options.acs)
  return new BareFunction(config)
}

export class Machine {
  readonly slots: Slots = new Slots()
  readonly memory: PhysicalMemory = physicalMemory(16 * 2 ** 20)
  readonly root: HardwareBus = this.slots.addRoot('0000:00')
  readonly iommu: FakeIommu = new FakeIommu()
  readonly deliveries: Delivery[] = []
  readonly pins: boolean[] = []
  readonly fabric: Fabric
  translated = true

  constructor() {
    this.fabric = new Fabric(this.slots, this.memory, () => (this.translated ? this.iommu : null))
    this.fabric.onInterrupt((delivery) => this.deliveries.push(delivery))
    this.fabric.onPin((_fn, level) => this.pins.push(level))
  }

  /** Plugs the function and programs it as a driver would. */
  plug(fn: BareFunction, bus: HardwareBus, devfn: number, address = 0): BareFunction {
    this.slots.plug(fn, bus, devfn)
    if (fn.bars.length > 0) {
      fn.config.write(0x10, 4, address)
      fn.config.write(0x04, 2, BUS_MASTER_AND_MEMORY)
    }
    return fn
  }
}

/** Page n of a requester is page n + 0x100 of memory; odd pages are blocked. */
class FakeIommu implements TranslationHardware {
  readonly requesters: number[] = []
  readonly faults: readonly FaultRecord[] = []

  translate(requester: number, page: number): number {
    this.requesters.push(requester)
    return page % 2 === 1 ? -1 : page + 0x100
  }

  interrupt(requester: number, _address: number, data: number): Interrupt | null {
    this.requesters.push(requester)
    return data === 0x99 ? null : { vector: data, destination: 0 }
  }

  clearFaults(): void {
    // It records none.
  }
}

export const DATA: Uint8Array = Uint8Array.of(1, 2, 3, 4)
