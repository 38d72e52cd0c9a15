/** An IOMMU unit without hardware, for tests of the core: it remembers who is attached to what. */
import { parseKernelVersion } from '../../base/kernel-version.ts'
import type { KernelContext } from '../context.ts'
import { Devices } from '../driver-core/devices.ts'
import { Uevents } from '../driver-core/uevents.ts'
import { Errno } from '../errno.ts'
import type { TranslationHardware } from '../hardware/translation.ts'
import { physicalMemory } from '../memory/physical-memory.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import { Scheduler } from '../task.ts'
import type { Domain, DomainType, Geometry } from './domain.ts'
import type { IommuGroup } from './group.ts'
import type { IommuUnit, ReservedRegion } from './unit.ts'

/** A kernel with 64 MiB of memory. */
export function testContext(release = '6.12.117', commandLine = ''): KernelContext {
  const version = parseKernelVersion(release)
  if (version === null) throw new Error(release)
  return {
    version,
    release,
    commandLine,
    log: [],
    uevents: new Uevents(),
    devices: new Devices(),
    memory: physicalMemory(64 * 2 ** 20),
    scheduler: new Scheduler(),
  }
}

export class FakeDomain implements Domain {
  type: DomainType
  readonly geometry: Geometry
  readonly pageSizes = [0x1000, 0] as const
  readonly enforcesCoherency = true
  readonly pages: Map<number, number> = new Map()
  destroyed = false
  /** No memory for page tables. */
  full = false

  constructor(type: DomainType, geometry: Geometry) {
    this.type = type
    this.geometry = geometry
  }

  get tableBytes(): number {
    return this.pages.size * 8
  }

  map(iovaPage: number, physicalPage: number, pages: number): void {
    if (this.full) throw new Errno('ENOMEM')
    for (let n = 0; n < pages; n += 1) {
      if (this.pages.has(iovaPage + n)) throw new Errno('EEXIST')
      this.pages.set(iovaPage + n, physicalPage + n)
    }
  }

  unmap(iovaPage: number, pages: number): number {
    for (let n = 0; n < pages; n += 1) this.pages.delete(iovaPage + n)
    return pages
  }

  physicalPage(iovaPage: number): number {
    return this.pages.get(iovaPage) ?? -1
  }

  destroy(): void {
    if (this.destroyed) throw new Error('destroyed twice')
    this.destroyed = true
  }
}

const NO_HARDWARE: TranslationHardware = {
  translate: () => -1,
  interrupt: () => null,
  faults: [],
  clearFaults: () => undefined,
}

export class FakeUnit implements IommuUnit {
  readonly name: string
  readonly kind: IommuUnit['kind']
  readonly hardware: TranslationHardware = NO_HARDWARE
  isolates = true
  isolatesInterrupts = true
  attributes: Record<string, string> = { version: '1:0', cap: 'd2008c40660462' }
  geometry: Geometry = { firstPage: 0, lastPage: 2 ** 27 - 1 }
  covers: (device: PciDevice) => boolean = () => true
  groupOf: (device: PciDevice) => IommuGroup | 'new' | null = () => null
  groupName: (device: PciDevice) => string | null = () => null
  requiredDomainType: (device: PciDevice) => DomainType | null = () => null
  /** Attachments that fail with EINVAL. */
  refuses: (device: PciDevice, domain: Domain) => boolean = () => false
  readonly attached: Map<PciDevice, Domain> = new Map()
  readonly #regions = new Map<string, readonly ReservedRegion[]>()
  readonly #identity: FakeDomain
  readonly #blocked: FakeDomain

  constructor(name = 'dmar0', kind: IommuUnit['kind'] = 'intel') {
    this.name = name
    this.kind = kind
    this.#identity = new FakeDomain('identity', this.geometry)
    this.#blocked = new FakeDomain('blocked', this.geometry)
  }

  reserve(address: string, regions: readonly ReservedRegion[]): void {
    this.#regions.set(address, regions)
  }

  reservedRegions(device: PciDevice): readonly ReservedRegion[] {
    const own = this.#regions.get(device.name) ?? []
    return [...own, { firstPage: 0xfee00, lastPage: 0xfeeff, kind: 'msi' }]
  }

  createDomain(type: DomainType): Domain {
    if (type === 'identity') return this.#identity
    return type === 'blocked' ? this.#blocked : new FakeDomain(type, this.geometry)
  }

  attach(device: PciDevice, domain: Domain): void {
    if (!(domain instanceof FakeDomain) || this.refuses(device, domain)) throw new Errno('EINVAL')
    if (domain.destroyed) throw new Error('attached to a destroyed domain')
    this.attached.set(device, domain)
  }

  release(device: PciDevice): void {
    this.attached.delete(device)
  }
}
