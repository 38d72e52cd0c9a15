/**
 * Random steps with a purpose. Purely random calls would nearly all fail in the first check; so most
 * steps bring some group nearer to a user, or nearer to its kernel drivers again, and the rest are
 * calls that are wrong, early, late or odd.
 */
import { survivable } from './fragile.ts'
import { fileStep, write } from './generate-files.ts'
import { containerCall, deviceCall, groupCall } from './generate-calls.ts'
import type { Operation } from './operation.ts'
import type { World } from './world.ts'

const BUS = '/sys/bus/pci'
const ATTEMPTS = 50

export function nextOperation(world: World): Operation {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const operation = draw(world)
    const survived = operation && survivable(world, operation)
    if (survived !== undefined) return survived
  }
  return { kind: 'read', path: `${BUS}/drivers_autoprobe` }
}

function draw(world: World): Operation | undefined {
  const { random } = world
  const kind = random.between(1, 100)
  if (kind <= 38) return purposeful(world)
  if (kind <= 61) return fileStep(world)
  if (kind <= 66) return openOrClose(world)
  if (kind <= 77) return containerCall(world)
  if (kind <= 83) return groupCall(world)
  return deviceCall(world)
}

/** The next step that hands a group to a user, or takes it back. */
function purposeful(world: World): Operation | undefined {
  const group = world.pick(world.groups().filter((one) => world.endpoints(one).length > 0))
  if (group === undefined) return undefined
  const claimed = world.groups().filter((one) => world.isClaimed(one))
  const intruded = world.random.percent(20) ? world.pick(claimed) : undefined
  if (intruded !== undefined) return intrude(world, intruded)
  if (world.random.percent(4)) world.wanted.delete(group)
  if (world.random.percent(8)) {
    world.wanted.add(group)
    if (world.random.percent(70)) world.hasty.add(group)
  }
  return world.wanted.has(group) ? towardsUser(world, group) : towardsKernel(world, group)
}

/** A kernel driver for a member of a group that a user has: as far as it goes, which is not far. */
function intrude(world: World, group: string): Operation | undefined {
  const members = world.endpoints(group)
  const taken = members.filter((one) => world.driver(one) === 'vfio-pci')
  const bare = world.pick(members.filter((one) => world.driver(one) === undefined))
  if (bare !== undefined && world.random.percent(75)) {
    if (world.value(bare, 'driver_override') !== '(null)') return hand(world, bare, null)
    const driver = world.universe.usual[bare]
    if (driver === undefined || world.random.percent(40)) return hand(world, bare, null)
    return write(world, `${BUS}/drivers/${driver}/bind`, bare)
  }
  // The last one would take the group's file away.
  const member = taken.length < 2 ? undefined : world.pick(taken)
  if (member === undefined) return undefined
  return write(world, `${BUS}/drivers/vfio-pci/unbind`, member)
}

function towardsUser(world: World, group: string): Operation | undefined {
  const members = world.endpoints(group)
  const late = members.filter((one) => world.driver(one) !== 'vfio-pci')
  const member = world.pick(late)
  // The group's file is there with the first member; who cannot wait learns that all are needed.
  const waits = late.length === members.length || !world.hasty.has(group)
  if (member !== undefined && waits && world.random.percent(90)) {
    return hand(world, member, 'vfio-pci')
  }
  const [container] = world.open('container')
  if (container === undefined) {
    return { kind: 'open', path: '/dev/vfio/vfio', slot: ['container', 0] }
  }
  const path = `/dev/vfio/${group}`
  const [slot] = world.open('group', path)
  if (slot === undefined) {
    const empty = world.pick(world.empty('group')) ?? world.pick(world.slots('group'))
    return empty === undefined ? undefined : { kind: 'open', path, slot: empty }
  }
  const owner = world.containerOf(slot)
  if (owner === undefined) return groupCall(world, slot)
  if (!world.hasIommu(owner)) {
    return containerCall(world, ['container', Number(owner.split(' ')[1])])
  }
  const device = world.pick(world.endpoints(group))
  const empty = world.pick(world.empty('device'))
  if (device !== undefined && empty !== undefined && world.open('device', device).length === 0) {
    return { kind: 'open-device', group: slot, name: device, slot: empty }
  }
  return world.random.percent(50) ? containerCall(world) : deviceCall(world)
}

function towardsKernel(world: World, group: string): Operation | undefined {
  const members = world.endpoints(group)
  const open = members.flatMap((member) => world.open('device', member))
  const slot = open[0] ?? world.open('group', `/dev/vfio/${group}`)[0]
  if (slot !== undefined) return { kind: 'close', slot }
  const held = members.filter((member) => {
    const override = world.value(member, 'driver_override')
    return world.driver(member) === 'vfio-pci' || override !== '(null)'
  })
  const member = world.pick(held)
  if (member !== undefined) return hand(world, member, null)
  const bare = world.pick(members.filter((one) => world.driver(one) === undefined))
  // Most functions have no driver of their own: asking once in a while is enough.
  return bare === undefined || world.random.percent(70)
    ? undefined
    : write(world, `${BUS}/drivers_probe`, bare)
}

/** The next of: set the override, unbind, probe. */
function hand(world: World, address: string, driver: string | null): Operation | undefined {
  const file = (name: string): string => `${BUS}/devices/${address}/${name}`
  const override = world.value(address, 'driver_override')
  if (override !== (driver ?? '(null)')) {
    return write(world, file('driver_override'), driver ?? '\n')
  }
  const bound = world.driver(address)
  if (bound !== undefined) return write(world, `${BUS}/drivers/${bound}/unbind`, address)
  const direct = driver !== null && world.random.percent(30)
  return write(world, direct ? `${BUS}/drivers/${driver}/bind` : `${BUS}/drivers_probe`, address)
}

function openOrClose(world: World): Operation | undefined {
  if (world.random.percent(45)) {
    const table = world.pick(['container', 'group', 'device', 'device'] as const) ?? 'device'
    const slot = world.pick(world.open(table))
    return slot === undefined ? undefined : { kind: 'close', slot }
  }
  if (world.random.percent(30)) {
    const slot = world.pick(world.slots('container')) ?? (['container', 0] as const)
    return { kind: 'open', path: '/dev/vfio/vfio', slot }
  }
  const group = world.pick([...world.groups(), '999', 'devices', 'noiommu-0'])
  const slot = world.pick(world.slots('group')) ?? (['group', 0] as const)
  return { kind: 'open', path: `/dev/vfio/${group ?? ''}`, slot }
}
