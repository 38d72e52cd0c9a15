/**
 * The driver of a POWER host bridge (arch/powerpc/platforms/powernv/pci-ioda.c). The hardware isolates
 * partitionable endpoints, so a group is a PE, whatever the topology says. What firmware put into which
 * PE is part of the machine's description.
 */
import { Errno } from '../../errno.ts'
import type { InterruptMessage } from '../../hardware/interrupt-message.ts'
import type { Interrupt } from '../../hardware/translation.ts'
import type { IommuDescription, UnitDescription } from '../../machine/description.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { requesterIds } from '../../pci/dma-alias-walk.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { Domain, DomainType } from '../domain.ts'
import type { IommuGroup } from '../group.ts'
import { describedRegions } from '../tables/described-regions.ts'
import { LowestFree } from '../tables/lowest-free.ts'
import type { InterruptMessages, IommuUnit, ReservedRegion } from '../unit.ts'
import type { UnitContext } from '../unit-context.ts'
import { namesUpwards, unitInCharge } from '../unit-scope.ts'
import { PowerDomain } from './power-domain.ts'
import { NO_PE, PowerHardware } from './power-hardware.ts'

/** Two bytes for each of 65536 requester ids. */
const REQUESTER_TABLE_PAGES = 32

/** The host bridges of a machine. Requesters without a PE, and PEs without a domain, are blocked. */
export function powerUnits(
  context: UnitContext,
  description: IommuDescription,
): readonly IommuUnit[] {
  return description.units.map((unit) => new PowerUnit(context, description, unit))
}

/** A partitionable endpoint in use. */
interface Endpoint {
  readonly pe: number
  readonly members: Set<PciDevice>
  domain: PowerDomain | null
}

class PowerUnit implements IommuUnit {
  readonly name: string
  readonly kind = 'power'
  readonly isolates = true
  readonly attributes: Readonly<Record<string, string>>
  readonly isolatesInterrupts: boolean
  readonly interrupts?: InterruptMessages
  readonly hardware: PowerHardware

  readonly #memory: PhysicalMemory
  readonly #description: IommuDescription
  readonly #unit: UnitDescription
  readonly #requesterTable: number
  /** PE numbers by name of function. */
  readonly #numbers: ReadonlyMap<string, number>
  readonly #endpoints = new Map<number, Endpoint>()

  constructor(context: UnitContext, description: IommuDescription, unit: UnitDescription) {
    const { memory } = context
    this.name = unit.name
    this.attributes = unit.attributes
    this.isolatesInterrupts = description.interruptRemapping
    this.#memory = memory
    this.#description = description
    this.#unit = unit
    this.#numbers = new Map(
      description.partitions?.flatMap(({ pe, functions }) =>
        functions.map((name): [string, number] => [name, pe]),
      ),
    )
    this.#requesterTable = memory.allocate(REQUESTER_TABLE_PAGES)
    memory.bytes(this.#requesterTable, REQUESTER_TABLE_PAGES).fill(0xff)
    this.hardware = new PowerHardware(memory)
    this.hardware.setRequesterTable(this.#requesterTable, this.isolatesInterrupts)
    if (!this.isolatesInterrupts) return
    this.interrupts = interruptSources(this.hardware, (device) => this.#endpointNumber(device))
  }

  covers(device: PciDevice): boolean {
    const { units } = this.#description
    return (
      units[unitInCharge(units, device)] === this.#unit && this.#endpointNumber(device) !== NO_PE
    )
  }

  reservedRegions(device: PciDevice): readonly ReservedRegion[] {
    return describedRegions(this.#description, device)
  }

  groupOf(device: PciDevice): IommuGroup | 'new' {
    const { members } = this.#endpoint(device)
    members.add(device)
    for (const { iommuGroup } of members) if (iommuGroup !== null) return iommuGroup
    return 'new'
  }

  groupName(device: PciDevice): string {
    return `domain${String(device.at.domain)}-pe${this.#endpointNumber(device).toString(16)}`
  }

  requiredDomainType(): null {
    return null
  }

  createDomain(type: DomainType): PowerDomain {
    return new PowerDomain(this.#memory, type)
  }

  /** The windows are the PE's: whichever member is attached, all of them move. */
  attach(device: PciDevice, domain: Domain): void {
    if (!(domain instanceof PowerDomain)) throw new Errno('EINVAL', 'a domain of another IOMMU')
    const endpoint = this.#endpoint(device)
    endpoint.members.add(device)
    for (const id of requesterIds(device)) this.#assign(id, endpoint.pe)
    this.#point(endpoint, domain)
  }

  release(device: PciDevice): void {
    const endpoint = this.#endpoint(device)
    if (!endpoint.members.delete(device)) return
    // Ids of a bridge stay with the members that are left.
    const kept = new Set([...endpoint.members].flatMap((member) => requesterIds(member)))
    for (const id of requesterIds(device)) if (!kept.has(id)) this.#assign(id, NO_PE)
    if (endpoint.members.size === 0) this.#point(endpoint, null)
  }

  #point(endpoint: Endpoint, domain: PowerDomain | null): void {
    if (endpoint.domain === domain) return
    endpoint.domain?.flushers.delete(endpoint)
    endpoint.domain = domain
    const { pe } = endpoint
    domain?.flushers.set(endpoint, (firstPage, pages) => {
      this.hardware.invalidate(pe, firstPage, pages)
    })
    this.hardware.setWindows(pe, domain?.windows ?? [null, null])
  }

  #endpoint(device: PciDevice): Endpoint {
    const pe = this.#endpointNumber(device)
    let endpoint = this.#endpoints.get(pe)
    if (endpoint === undefined) {
      endpoint = { pe, members: new Set(), domain: null }
      this.#endpoints.set(pe, endpoint)
    }
    return endpoint
  }

  /** The PE that lists the function, or the nearest bridge above it that one lists. */
  #endpointNumber(device: PciDevice): number {
    for (const name of namesUpwards(device)) {
      const pe = this.#numbers.get(name)
      if (pe !== undefined) return pe
    }
    return NO_PE
  }

  #assign(requester: number, pe: number): void {
    const bytes = this.#memory.bytes(this.#requesterTable, REQUESTER_TABLE_PAGES)
    bytes.set([pe >>> 8, pe & 0xff], requester * 2)
  }
}

/** Interrupt sources of a host bridge: a number each, usable by one PE. */
function interruptSources(
  hardware: PowerHardware,
  endpointOf: (device: PciDevice) => number,
): InterruptMessages {
  const numbers = new LowestFree(65536)
  return {
    allocate(device: PciDevice, interrupts: readonly Interrupt[]): readonly InterruptMessage[] {
      const count = 2 ** Math.ceil(Math.log2(Math.max(1, interrupts.length)))
      const first = numbers.take(count)
      if (first === -1) throw new Errno('ENOSPC', 'no free interrupt numbers')
      return interrupts.map((interrupt, n) => {
        hardware.setInterruptSource(first + n, { ...interrupt, pe: endpointOf(device) })
        return { address: 0xfee00000, data: first + n }
      })
    },
    free(_device: PciDevice, messages: readonly InterruptMessage[]): void {
      const first = messages[0]?.data
      if (first === undefined) return
      for (const { data } of messages) hardware.setInterruptSource(data, null)
      numbers.give(first, 2 ** Math.ceil(Math.log2(messages.length)))
    },
  }
}
