/**
 * The member "uses" of a machine file: what the host does with its devices. Each use is a line of words.
 *
 *     { "mounts": ["nvme0n1p2 / ext4"],                           device, place, type
 *       "swaps": ["nvme0n1p3"],                                   device
 *       "holders": ["dm-0 vg-root nvme0n1p2"],                    name, mapper name, what it is built on ...
 *       "interfaces": ["eth0 192.168.1.10/24 192.168.1.1"],       interface, address, default gateway (or none)
 *       "bridges": ["br0 eth0"],                                  name, ports ...
 *       "ssh": ["192.168.1.20"] }                                 an SSH server listens; who is logged in
 *
 * Each may be left out; without "ssh" no server listens.
 */
import type { HostUses } from '../model/machine/host-uses.ts'
import { type Field, items, matched, member, onlyMembers, reject } from './json-fields.ts'

export function hostUses(field: Field): HostUses {
  onlyMembers(field, ['mounts', 'swaps', 'holders', 'interfaces', 'bridges', 'ssh'])
  const lines = (name: string): readonly Field[] => {
    const list = member(field, name)
    return list.value === undefined ? [] : items(list)
  }
  return {
    mounts: lines('mounts').map((line) => {
      const [device = '', at = '', type = ''] = words(line, 3, 3, 'device, place and type')
      return { device, at, type }
    }),
    swaps: lines('swaps').map((line) => words(line, 1, 1, 'a device')[0] ?? ''),
    holders: lines('holders').map((line) => {
      const [name = '', mapperName = '', ...on] = words(
        line,
        3,
        64,
        'name, mapper name and devices',
      )
      return { name, mapperName, on }
    }),
    interfaces: lines('interfaces').map(interfaceUse),
    bridges: lines('bridges').map((line) => {
      const [name = '', ...ports] = words(line, 2, 64, 'name and ports')
      return { name, ports }
    }),
    ssh: member(field, 'ssh').value === undefined ? null : lines('ssh').map(ip),
  }
}

function words(field: Field, least: number, most: number, wanted: string): readonly string[] {
  const [text = ''] = matched(field, /^(\S+(?: \S+)*)$/, `words: ${wanted}`)
  const found = text.split(' ')
  return found.length < least || found.length > most ? reject(field, wanted) : found
}

const IP = String.raw`\d{1,3}(?:\.\d{1,3}){3}`

function ip(field: Field): string {
  return matched(field, new RegExp(`^(${IP})$`), 'an IPv4 address')[0] ?? ''
}

function interfaceUse(field: Field): HostUses['interfaces'][number] {
  const pattern = new RegExp(`^(\\S+) (${IP})/(\\d{1,2})(?: (${IP}))?$`)
  const wanted = 'interface, address and gateway such as "eth0 192.168.1.10/24 192.168.1.1"'
  const [name = '', address = '', prefix = '', gateway] = matched(field, pattern, wanted)
  if (Number(prefix) > 32) reject(field, 'a prefix of at most 32 bits')
  return { name, address, prefix: Number(prefix), gateway: gateway ?? null }
}
