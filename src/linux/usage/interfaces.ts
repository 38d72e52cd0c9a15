/**
 * Network interfaces and what stands on what: an address is often not on the card but on a bridge, bond or
 * VLAN above it.
 *
 *     eth0 --upper_bond0--> bond0 --upper_br0--> br0 has 192.168.1.10
 *
 * The kernel links every interface to those above it (net/core/dev.c, __netdev_adjacent_dev_insert).
 */
import { type Fact, known } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readLink, readList, readText } from '../reading.ts'

export interface Interface {
  readonly name: string
  /** "../../devices/pci0000:00/0000:00:1c.0/0000:02:00.0/net/eth0" */
  readonly path: string
  /** Interfaces directly above. */
  readonly uppers: readonly string[]
  readonly isUp: boolean
  /** "bridge", "bond", or empty. */
  readonly kind: string
}

export type Interfaces = ReadonlyMap<string, Interface>

const CLASS = '/sys/class/net'
/** A file among the links, once the bonding driver is there (drivers/net/bonding/bond_sysfs.c). */
const BONDS = 'bonding_masters'
const UPPER = 'upper_'
/** Of the interface flags, include/uapi/linux/if.h. */
const IFF_UP = 1

export function readInterfaces(kernel: KernelView): Fact<Interfaces> {
  const names = readList(kernel, CLASS)
  if (!names.known) return names
  const interfaces = new Map<string, Interface>()
  for (const name of [...(names.value ?? [])].sort()) {
    if (name === BONDS) continue
    const path = readLink(kernel, `${CLASS}/${name}`)
    if (!path.known) return path
    if (path.value === null) continue
    const entries = readList(kernel, `${CLASS}/${name}`)
    if (!entries.known) return entries
    const flags = readText(kernel, `${CLASS}/${name}/flags`)
    if (!flags.known) return flags
    const own = entries.value ?? []
    interfaces.set(name, {
      name,
      path: path.value,
      uppers: own.filter((entry) => entry.startsWith(UPPER)).map((at) => at.slice(UPPER.length)),
      isUp: (Number(flags.value ?? '0') & IFF_UP) !== 0,
      kind: own.includes('bridge') ? 'bridge' : own.includes('bonding') ? 'bond' : '',
    })
  }
  return known(interfaces)
}

/** The interface itself and all above it, lowest first. */
export function withUppers(from: string, interfaces: Interfaces): readonly Interface[] {
  const found = new Map<string, Interface>()
  const names = [from]
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const one = interfaces.get(name)
    if (one === undefined || found.has(name)) continue
    found.set(name, one)
    names.push(...one.uppers)
  }
  return [...found.values()]
}
