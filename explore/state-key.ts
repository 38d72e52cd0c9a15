/**
 * A state as text: everything that decides what can still happen, and nothing else. Counters that only
 * grow (SEQNUM, process ids) and the log are left out; domains are named by the order in which groups
 * show them, so that two ways to the same state look alike.
 */
import type { Domain } from '../src/model/iommu/domain.ts'
import type { IommuGroup } from '../src/model/iommu/group.ts'
import { PciDevice } from '../src/model/pci/pci-device.ts'
import type { Observed } from './observed.ts'

export function stateKey(run: Observed, more: readonly string[]): string {
  const { pci, iommu, slots } = run.model
  const names = new Map<object, number>()
  const nameOf = (thing: object | null): string => {
    if (thing === null) return '-'
    const known = names.get(thing) ?? names.size
    names.set(thing, known)
    return String(known)
  }
  const parts: string[] = []
  for (const device of pci.bus.devices.values()) {
    if (device instanceof PciDevice) parts.push(deviceKey(device))
  }
  parts.sort()
  for (const [id, group] of [...iommu.groups].sort(([a], [b]) => a - b)) {
    parts.push(groupKey(id, group, nameOf))
  }
  for (const [name, bus] of slots.roots)
    parts.push(`${name} ${[...bus.functions.keys()].join(' ')}`)
  for (const [descriptor, file] of run.user.openFiles()) {
    parts.push(`${String(descriptor)} ${file.kind} ${nameOf(file)}`)
  }
  for (const [name, descriptor] of run.descriptors) parts.push(`${name}=${String(descriptor)}`)
  for (const [container, pages] of run.mappings) {
    parts.push(`${nameOf(container)} maps ${[...pages.keys()].join(' ')}`)
  }
  parts.push(run.model.vfio.nodes().list().join(' '))
  return [...parts, ...more].join('\n')
}

function deviceKey(device: PciDevice): string {
  const { driver, driverOverride, lock, virtualFunctions } = device
  return [
    device.name,
    driver?.name ?? '-',
    device.links.has('driver') ? 'linked' : '',
    driverOverride ?? '-',
    lock.held ? 'locked' : '',
    device.dead ? 'dead' : '',
    device.matchable ? '' : 'held back',
    device.removing ? 'removing' : '',
    device.iommuGroup?.id ?? '-',
    virtualFunctions.filter((fn) => fn !== undefined).length,
    // The hardware may be gone while the kernel still has the device.
    device.hardware.config.read(0, 2) === 0xffff && !device.isVirtual ? 'pulled' : '',
  ].join(' ')
}

function groupKey(id: number, group: IommuGroup, nameOf: (thing: object | null) => string): string {
  return [
    `group ${String(id)}`,
    group.members.map((member) => member.name).join(' '),
    domainKind(group),
    nameOf(group.domain),
    group.owner === null ? 'free' : `owner ${nameOf(group.owner)}`,
    group.ownerCount,
    group.lock.held ? 'locked' : '',
    group.references,
  ].join(' ')
}

/** Which of its domains a group is attached to. */
export function domainKind({
  domain,
  defaultDomain,
  blockingDomain,
}: {
  readonly domain: Domain | null
  readonly defaultDomain: Domain | null
  readonly blockingDomain: Domain | null
}): 'none' | 'default' | 'blocking' | 'user' {
  if (domain === null) return 'none'
  if (domain === defaultDomain) return 'default'
  return domain === blockingDomain ? 'blocking' : 'user'
}
