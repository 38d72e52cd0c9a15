/**
 * The kernel's groups: /sys/kernel/iommu_groups/<id>/. Members come from the groups' own directories,
 * which also hold devices that are no PCI functions. Type, name and reserved regions on first use.
 */
import { type Fact, known, mapFact, unknown } from '../base/fact.ts'
import type { HostGroup, OtherDevice, ReservedRegion } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { parseAddress } from '../pci/address.ts'
import { baseName, readLink, readList, readText, required } from './reading.ts'

export const GROUPS = '/sys/kernel/iommu_groups'

export interface GroupReader {
  readonly groups: Fact<readonly HostGroup[]>
  readonly otherDevices: readonly OtherDevice[]
  groupOf(address: string): Fact<string | null>
}

export function readGroups(kernel: KernelView): GroupReader {
  const ids = readList(kernel, GROUPS)
  if (!ids.known) return { groups: ids, otherDevices: [], groupOf: () => ids }
  const numbers = (ids.value ?? []).filter((id) => /^\d+$/.test(id))
  const groups = numbers
    .sort((a, b) => Number(a) - Number(b))
    .map((id) => new LinuxGroup(kernel, id))
  const groupByMember = new Map<string, string>()
  const otherDevices: OtherDevice[] = []
  for (const group of groups) {
    for (const member of group.members) {
      if (parseAddress(member) === null) otherDevices.push(otherDevice(kernel, group.id, member))
      else groupByMember.set(member, group.id)
    }
  }
  return {
    groups: known(groups),
    otherDevices,
    groupOf: (address) => known(groupByMember.get(address) ?? null),
  }
}

function otherDevice(kernel: KernelView, group: string, name: string): OtherDevice {
  const path = `${GROUPS}/${group}/devices/${name}`
  return {
    name,
    group,
    bus: mapFact(required(readLink(kernel, `${path}/subsystem`), `${path}/subsystem`), baseName),
    driver: mapFact(readLink(kernel, `${path}/driver`), (link) =>
      link === null ? null : baseName(link),
    ),
  }
}

class LinuxGroup implements HostGroup {
  readonly id: string
  readonly members: readonly string[]
  readonly #kernel: KernelView
  #type: Fact<string> | undefined
  #name: Fact<string | null> | undefined
  #reserved: Fact<readonly ReservedRegion[]> | undefined

  constructor(kernel: KernelView, id: string) {
    this.#kernel = kernel
    this.id = id
    const members = readList(kernel, `${GROUPS}/${id}/devices`)
    this.members = [...(members.known ? (members.value ?? []) : [])].sort()
  }

  get type(): Fact<string> {
    const path = `${GROUPS}/${this.id}/type`
    this.#type ??= required(readText(this.#kernel, path), path)
    return this.#type
  }

  get name(): Fact<string | null> {
    const path = `${GROUPS}/${this.id}/name`
    this.#name ??= this.#kernel.exists(path) ? readText(this.#kernel, path) : known(null)
    return this.#name
  }

  get reserved(): Fact<readonly ReservedRegion[]> {
    const path = `${GROUPS}/${this.id}/reserved_regions`
    if (this.#reserved === undefined) {
      const text = required(readText(this.#kernel, path), path)
      this.#reserved = text.known ? parseReserved(text.value) : text
    }
    return this.#reserved
  }

  toJSON(): HostGroup {
    const { id, members, type, name, reserved } = this
    return { id, members, type, name, reserved }
  }
}

/** Lines of `0x%016x 0x%016x type` (iommu_group_show_resv_regions, drivers/iommu/iommu.c). */
export function parseReserved(text: string): Fact<readonly ReservedRegion[]> {
  const regions: ReservedRegion[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const match = /^(0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16}) ([a-z-]+)$/.exec(line.trim())
    if (match === null) return unknown(`reserved_regions has a line of another form: "${line}"`)
    regions.push({ start: match[1] ?? '', end: match[2] ?? '', kind: match[3] ?? '' })
  }
  return known(regions)
}
