/**
 * struct iommu_group: devices that the IOMMU cannot tell apart or keep apart, with the context they
 * share. The context lives here, not at the device (the seed's S6).
 */
import type { Device } from '../driver-core/device.ts'
import { Mutex } from '../task.ts'
import type { Domain } from './domain.ts'
import type { IommuUnit } from './unit.ts'

export interface GroupMember {
  /** Of its link in `devices`; a collision gives "name.0". */
  readonly name: string
  readonly device: Device
}

export class IommuGroup {
  /** Lowest free number when it was made. */
  readonly id: number
  /** `name` file; null on x86. */
  readonly name: string | null
  /** Null for groups without an IOMMU (vfio-noiommu). */
  readonly unit: IommuUnit | null
  readonly #members: GroupMember[] = []
  readonly #byName = new Map<string, GroupMember>()
  readonly lock: Mutex
  /** What kernel drivers share; null until the first device is configured. */
  defaultDomain: Domain | null = null
  /** Where DMA goes now: the default domain, a user's, or the blocking one. */
  domain: Domain | null = null
  blockingDomain: Domain | null = null
  /** Who claimed it for a user (5.19+): any object that identifies the owner; null = nobody. */
  owner: object | null = null
  /** Kernel drivers bound in it, or 1 and more for a user (owner_cnt). */
  ownerCount = 0
  /** Others that hold on to it beside its members (VFIO): the number stays taken (iommu_group_get). */
  references = 0

  constructor(id: number, name: string | null, unit: IommuUnit | null) {
    this.id = id
    this.name = name
    this.unit = unit
    this.lock = new Mutex(`group ${String(id)}`)
  }

  /** In the order they joined. */
  get members(): readonly GroupMember[] {
    return this.#members
  }

  memberNamed(name: string): GroupMember | undefined {
    return this.#byName.get(name)
  }

  /** Only the core lets devices join and leave. */
  join(device: Device): void {
    let { name } = device
    for (let n = 0; this.#byName.has(name); n += 1) name = `${device.name}.${String(n)}`
    const member = { name, device }
    this.#members.push(member)
    this.#byName.set(name, member)
    device.iommuGroup = this
  }

  leave(device: Device): void {
    const at = this.#members.findIndex((member) => member.device === device)
    for (const { name } of this.#members.splice(at, 1)) this.#byName.delete(name)
    device.iommuGroup = null
  }
}
