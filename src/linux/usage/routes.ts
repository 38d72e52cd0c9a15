/**
 * Addresses and routes by interface, from the tables in /proc/net: the caller's network namespace only.
 *
 *     route        Iface Destination Gateway Flags ... Mask: hexadecimal in the byte order of the processor,
 *                  main table only (net/ipv4/fib_trie.c, fib_route_seq_show)
 *     fib_trie     "/32 host LOCAL" below an address: it is the host's own; not on which interface
 *     ipv6_route   32 hexadecimal digits, prefix length, ..., flags, interface (net/ipv6/route.c)
 *     if_inet6     address, index, prefix length, scope, flags, interface (net/ipv6/addrconf.c)
 *
 * An IPv4 address is put to the interface of its longest connected route; where two interfaces share a
 * network, to both, which errs on the safe side.
 */
import { type Fact, known } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readText } from '../reading.ts'

export interface Route {
  readonly name: string
  /** "default", "10.0.0.0/8", "fd00::/64" written out */
  readonly to: string
  readonly isDefault: boolean
}

export interface InterfaceAddress {
  readonly name: string
  /** "192.168.1.10"; IPv6 in eight groups of four digits. */
  readonly address: string
}

export interface Routing {
  readonly routes: readonly Route[]
  readonly addresses: readonly InterfaceAddress[]
}

const NET = '/proc/net'
const BYTES_MAX = 16 * 1024 * 1024

export function readRouting(kernel: KernelView): Fact<Routing> {
  const texts: string[] = []
  for (const name of ['route', 'fib_trie', 'ipv6_route', 'if_inet6']) {
    const text = readText(kernel, `${NET}/${name}`, BYTES_MAX)
    if (!text.known) return text
    // A kernel without IPv6 has no such tables.
    texts.push(text.value ?? '')
  }
  const [route = '', trie = '', route6 = '', addresses6 = ''] = texts
  const entries = parseRoutes(route)
  return known({
    routes: [...entries.map(asRoute), ...parseRoutes6(route6)],
    addresses: [...placed(localAddresses(trie), entries), ...parseAddresses6(addresses6)],
  })
}

interface Entry {
  readonly name: string
  readonly destination: number
  readonly mask: number
  readonly gateway: number
}

const RTF_UP = 0x1
const RTF_REJECT = 0x200

/** Numbers as written by a little-endian processor, which all hosts with these tables are in practice. */
function parseRoutes(text: string): readonly Entry[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name, destination, gateway, flags, , , , mask] = line.trim().split(/\s+/)
      if (name === undefined || mask === undefined) return []
      if ((parseInt(flags ?? '', 16) & RTF_UP) === 0 || name === '*') return []
      const entry = {
        name,
        destination: swapped(destination ?? ''),
        mask: swapped(mask),
        gateway: swapped(gateway ?? ''),
      }
      return [entry]
    })
}

function swapped(hex: string): number {
  const value = parseInt(hex, 16)
  const bytes = [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0)
}

function asRoute({ name, destination, mask }: Entry): Route {
  const isDefault = mask === 0
  return { name, to: isDefault ? 'default' : `${dotted(destination)}/${prefix(mask)}`, isDefault }
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => String((address >>> shift) & 255)).join('.')
}

function prefix(mask: number): string {
  return String(mask.toString(2).split('1').length - 1)
}

/** Addresses that the host answers to, loopback left out. */
function localAddresses(trie: string): ReadonlySet<string> {
  const found = new Set<string>()
  let last = ''
  for (const line of trie.split('\n')) {
    const leaf = /^\s*\|-- (\d+\.\d+\.\d+\.\d+)\s*$/.exec(line)?.[1]
    if (leaf !== undefined) last = leaf
    else if (/^\s+\/32 host LOCAL/.test(line) && !last.startsWith('127.')) found.add(last)
  }
  return found
}

function placed(addresses: ReadonlySet<string>, entries: readonly Entry[]): InterfaceAddress[] {
  const connected = entries.filter(({ gateway, mask }) => gateway === 0 && mask !== 0)
  return [...addresses].flatMap((address) => {
    const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
    const on = connected.filter(
      ({ destination, mask }) => (value & mask) >>> 0 === (destination & mask) >>> 0,
    )
    const longest = Math.max(...on.map(({ mask }) => mask))
    const names = on.filter(({ mask }) => mask === longest).map(({ name }) => name)
    return [...new Set(names)].map((name) => ({ name, address }))
  })
}

/** Link-local and multicast routes exist wherever an interface is up: they say nothing more. */
const EVERYWHERE = /^(?:fe[89ab]|ff)/

function parseRoutes6(text: string): readonly Route[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/)
    const [destination, length, , , , , , , flags, name] = fields
    if (destination === undefined || flags === undefined || name === undefined) return []
    const bits = parseInt(flags, 16)
    const isLocal = bits > 0x7fffffff
    if (name === 'lo' || isLocal || (bits & RTF_REJECT) !== 0) return []
    if ((bits & RTF_UP) === 0 || EVERYWHERE.test(destination)) return []
    const plen = parseInt(length ?? '', 16)
    const isDefault = plen === 0
    return [
      { name, to: isDefault ? 'default' : `${grouped(destination)}/${String(plen)}`, isDefault },
    ]
  })
}

const LINK_LOCAL_SCOPE = '20'

function parseAddresses6(text: string): readonly InterfaceAddress[] {
  return text.split('\n').flatMap((line) => {
    const [address, , , scope, , name] = line.trim().split(/\s+/)
    if (address === undefined || name === undefined || name === 'lo') return []
    return scope === LINK_LOCAL_SCOPE ? [] : [{ name, address: grouped(address) }]
  })
}

function grouped(digits: string): string {
  return (digits.match(/.{4}/g) ?? []).join(':')
}

/** An address as people write it, in the form of these tables; null when it is none. */
export function normalized(text: string): string | null {
  const plain = text.split('%', 1)[0] ?? ''
  const mapped = /^(?:::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(plain)?.[1]
  if (mapped !== undefined) return mapped.split('.').map(Number).join('.')
  if (!/^[0-9a-f:]+$/i.test(plain) || !plain.includes(':')) return null
  const [front = '', back] = plain.split('::', 2)
  const left = front === '' ? [] : front.split(':')
  const right = back === undefined || back === '' ? [] : back.split(':')
  const missing = 8 - left.length - right.length
  if (missing < 0 || (back === undefined && missing !== 0)) return null
  const groups = [...left, ...new Array<string>(missing).fill('0'), ...right]
  return groups.map((group) => group.padStart(4, '0').toLowerCase()).join(':')
}
