/** What a plan says about single members, in words for a person. */
import { type Fact, known } from '../../base/fact.ts'
import type { AssessedGroup } from '../assess/assess.ts'
import { bridgeKind } from '../assess/bridge.ts'
import type { HostService, OtherDevice, PciFunction } from '../host.ts'
import type { DeviceUsage, DiskUse, NetworkUse } from '../live-host.ts'
import type { Node } from '../topology/topology.ts'
import type { PlanFacts } from './facts.ts'
import { type Fate, fateOf } from './member.ts'
import { programNames } from './use-findings.ts'

export interface MemberPlan {
  /** Address, or the name of a device of another bus. */
  readonly name: string
  /** What it is; null for a device that is no PCI function or was not found. */
  readonly fn: PciFunction | null
  readonly other: OtherDevice | null
  readonly driver: Fact<string | null>
  readonly fate: Fate
  /** Class devices that its driver makes: "net eth0", "block nvme0n1". */
  readonly services: Fact<readonly HostService[]>
  /** What it does for the host now: "nvme0n1p2 is mounted at /". Empty: nothing that was looked for. */
  readonly does: readonly string[]
  /** Why `does` may not be all. */
  readonly notSeen: readonly string[]
  /** What will be done, in one clause: "from nvme to vfio-pci". */
  readonly will: string
  /** What the host loses: "disk nvme0n1", "network interface eth0". */
  readonly loses: readonly string[]
}

export function memberPlans(
  group: AssessedGroup,
  driver: string,
  facts: PlanFacts,
): readonly MemberPlan[] {
  return [
    ...group.members.map((node) => functionPlan(node, driver, facts)),
    ...group.others.map((other) => stayingPlan(other.name, other)),
    ...group.unlisted.map((name) => stayingPlan(name, null)),
  ]
}

function functionPlan(node: Node, driver: string, facts: PlanFacts): MemberPlan {
  const { address, fn } = node
  const fate = fateOf(node, driver)
  const services = facts.details.get(address)?.services ?? NOT_READ
  const usage = facts.usage.get(address)
  const seen = fate === 'move' && usage !== undefined
  return {
    name: address,
    fn,
    other: null,
    driver: fn.driver,
    fate,
    services,
    does: seen ? doing(usage) : [],
    notSeen: seen ? unseen(usage) : [],
    will: willOf(node, fate, driver),
    loses: fate === 'move' && services.known ? services.value.map(lossOf) : [],
  }
}

const NOT_READ: Fact<never> = { known: false, why: 'it was not looked at' }

function stayingPlan(name: string, other: OtherDevice | null): MemberPlan {
  return {
    name,
    fn: null,
    other,
    driver: other?.driver ?? NOT_READ,
    fate: 'stays',
    services: known([]),
    does: [],
    notSeen: [],
    will:
      other === null
        ? 'is not touched: it was not found'
        : 'is not touched: claims hold PCI functions',
    loses: [],
  }
}

function willOf(node: Node, fate: Fate, driver: string): string {
  const now = node.fn.driver.known ? node.fn.driver.value : '?'
  if (fate === 'move') return `from ${now ?? 'no driver'} to ${driver}`
  const where = now === null ? 'without a driver' : `on ${now}`
  if (fate === 'kept') return `stays ${where}, where it is already`
  const what = bridgeKind(node) === 'device' ? 'part of the chipset' : 'bridge'
  return `stays ${where}: a ${what}`
}

const LOSS: Readonly<Record<HostService['kind'], string>> = {
  net: 'network interface',
  block: 'disk',
  nvme: 'NVMe controller',
  drm: 'graphics',
  framebuffer: 'framebuffer',
  input: 'input device',
  sound: 'sound card',
  infiniband: 'InfiniBand device',
  tty: 'serial line',
  other: 'device',
}

function lossOf({ kind, name }: HostService): string {
  return `${LOSS[kind]} ${name}`
}

const DISK_WORDS: Readonly<Record<DiskUse['use'], string>> = {
  mount: 'is mounted at',
  root: 'holds',
  boot: 'holds',
  swap: 'is swapped to as',
  holder: 'carries',
  zfs: 'is in the ZFS pool',
  open: 'is in use as',
}

const NETWORK_WORDS: Readonly<Record<NetworkUse['use'], string>> = {
  address: 'has the address',
  route: 'has the route',
  default: 'has the default route',
  login: 'carries your login',
  port: 'carries',
  up: 'is up',
}

function doing(usage: DeviceUsage): readonly string[] {
  const { disks, networks, displays, keyboards, programs, virtualFunctions } = usage
  const lines: string[] = []
  for (const { name, use, detail } of valuesOf(disks)) {
    lines.push(`${name} ${DISK_WORDS[use]} ${detail}`)
  }
  for (const { name, use, detail } of valuesOf(networks)) {
    lines.push(`${name} ${NETWORK_WORDS[use]} ${detail}`.trim())
  }
  for (const { use, name } of valuesOf(displays)) {
    lines.push(use === 'boot-display' ? 'is the screen that the firmware started' : `shows ${name}`)
  }
  if (keyboards.known && keyboards.value.here.length > 0) {
    lines.push(`has keyboards: ${keyboards.value.here.join(', ')}`)
  }
  const open = valuesOf(programs)
  if (open.length > 0) lines.push(`is open in ${programNames(open)}`)
  const vfs = valuesOf(virtualFunctions).length
  if (vfs > 0) lines.push(`has ${String(vfs)} virtual ${vfs === 1 ? 'function' : 'functions'}`)
  return lines
}

function valuesOf<T>(fact: Fact<readonly T[]>): readonly T[] {
  return fact.known ? fact.value : []
}

function unseen(usage: DeviceUsage): readonly string[] {
  const { disks, networks, displays, keyboards, programs, virtualFunctions } = usage
  const facts: readonly (readonly [string, Fact<unknown>])[] = [
    ['disks', disks],
    ['networks', networks],
    ['screens', displays],
    ['keyboards', keyboards],
    ['programs', programs],
    ['virtual functions', virtualFunctions],
  ]
  return facts.flatMap(([what, fact]) => (fact.known ? [] : [`${what}: ${fact.why}`]))
}
