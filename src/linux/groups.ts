/**
 * The kernel's groups: /sys/kernel/iommu_groups/<id>/.
 *
 * Listing every group's directory is the dearest call there is on hosts with 10,000 groups. Each IOMMU
 * unit lists the devices it covers, PCI functions or not, and each of these has a link to its group; only
 * groups that remain without a member by then are listed themselves (groups without a unit: "noiommu").
 * Type, name and reserved regions are read on first use.
 */
import { type Fact, known, mapFact, unknown } from '../base/fact.ts'
import type { HostGroup, OtherDevice, ReservedRegion } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { parseAddress } from '../pci/address.ts'
import { PCI_DEVICES } from './functions.ts'
import { baseName, readLink, readList, readText, required } from './reading.ts'
import { UNITS } from './units.ts'

const GROUPS = '/sys/kernel/iommu_groups'

export interface GroupReader {
  readonly groups: Fact<readonly HostGroup[]>
  readonly otherDevices: readonly OtherDevice[]
  readonly groupOf: (address: string) => Fact<string | null>
}

/** @param functions addresses of all PCI functions */
export function readGroups(kernel: KernelView, functions: readonly string[]): GroupReader {
  const ids = readList(kernel, GROUPS)
  if (!ids.known) return { groups: ids, otherDevices: [], groupOf: () => ids }
  const numbers = (ids.value ?? []).filter((id) => /^\d+$/.test(id))
  const membersById = new Map<string, string[]>(numbers.map((id) => [id, []]))
  const covered = numbers.length === 0 ? [] : coveredDevices(kernel, functions)
  for (const [name, id] of covered ?? []) membersById.get(id)?.push(name)
  for (const [id, found] of membersById) {
    if (covered !== null && found.length > 0) continue
    const members = readList(kernel, `${GROUPS}/${id}/devices`)
    // A group shown with too few members would look safer than it is.
    if (!members.known) return { groups: members, otherDevices: [], groupOf: () => members }
    if (members.value === null) membersById.delete(id)
    else membersById.set(id, [...members.value])
  }
  return collect(kernel, membersById)
}

function collect(
  kernel: KernelView,
  membersById: ReadonlyMap<string, readonly string[]>,
): GroupReader {
  const regions = new Map<string, Fact<readonly ReservedRegion[]>>()
  const groups = [...membersById]
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([id, members]) => new LinuxGroup(kernel, id, [...members].sort(), regions))
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

/**
 * Name and group of every device that the units list; null when a unit does not list its devices, so
 * that the groups themselves must be asked.
 */
function coveredDevices(
  kernel: KernelView,
  functions: readonly string[],
): readonly (readonly [name: string, id: string])[] | null {
  const units = readList(kernel, UNITS)
  if (!units.known || units.value === null || units.value.length === 0) return null
  const pci = new Set(functions)
  const found: [string, string][] = []
  for (const unit of units.value) {
    const dir = `${UNITS}/${unit}/devices`
    const names = readList(kernel, dir)
    if (!names.known || names.value === null) return null
    for (const name of names.value) {
      const device = pci.has(name) ? `${PCI_DEVICES}/${name}` : `${dir}/${name}`
      const link = readLink(kernel, `${device}/iommu_group`)
      if (!link.known) return null
      if (link.value !== null) found.push([name, baseName(link.value)])
    }
  }
  return found
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
  readonly #regions: Map<string, Fact<readonly ReservedRegion[]>>
  #type: Fact<string> | undefined
  #name: Fact<string | null> | undefined
  #reserved: Fact<readonly ReservedRegion[]> | undefined

  /** @param regions what was parsed already, by text */
  constructor(
    kernel: KernelView,
    id: string,
    members: readonly string[],
    regions: Map<string, Fact<readonly ReservedRegion[]>>,
  ) {
    this.#kernel = kernel
    this.#regions = regions
    this.id = id
    this.members = members
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
      this.#reserved = text.known ? this.#parsed(text.value) : text
    }
    return this.#reserved
  }

  /** Nearly all groups of a host have the same regions. */
  #parsed(text: string): Fact<readonly ReservedRegion[]> {
    let regions = this.#regions.get(text)
    if (regions === undefined) {
      regions = parseReserved(text)
      this.#regions.set(text, regions)
    }
    return regions
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
