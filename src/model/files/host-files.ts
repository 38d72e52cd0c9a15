/**
 * Files in which the kernel tells what the host does with its devices: mounts, swap, routes, sockets, input.
 * Formats as in fs/proc_namespace.c, mm/swapfile.c, net/ipv4 and net/ipv6, drivers/input/input.c.
 */
import type { Device } from '../driver-core/device.ts'
import type { Devices } from '../driver-core/devices.ts'
import { blockNumber, type HostUses, type InterfaceUse } from '../machine/host-uses.ts'
import { type Directory, directory, type File, textFile } from '../sysfs/node.ts'

export interface HostFiles {
  readonly uses: HostUses
  readonly devices: Devices
}

/** The path by which programs name a block device. */
function nodePath(name: string, { holders }: HostUses): string {
  const mapped = holders.find((holder) => holder.name === name)?.mapperName
  return mapped === undefined ? `/dev/${name}` : `/dev/mapper/${mapped}`
}

/** Mounted without a disk, in every system. */
const PSEUDO = [
  '22 1 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw',
  '23 1 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw',
  '24 1 0:5 / /dev rw,nosuid,relatime shared:2 - devtmpfs udev rw,mode=755',
  '25 1 0:24 / /run rw,nosuid,nodev,noexec,relatime shared:5 - tmpfs tmpfs rw,mode=755',
]

/** /proc/PID/mountinfo; a system without a disk runs from a tmpfs. */
export function mountinfo({ uses }: HostFiles): File {
  return textFile(() => {
    const lines = uses.mounts.map(({ device, at, type }, index) => {
      const id = String(30 + index)
      const source = nodePath(device, uses)
      return `${id} 1 ${blockNumber(device)} / ${at} rw,relatime shared:${id} - ${type} ${source} rw`
    })
    const hasRoot = uses.mounts.some(({ at }) => at === '/')
    const root = hasRoot ? [] : ['1 0 0:2 / / rw,relatime - tmpfs rootfs rw']
    return [...root, ...PSEUDO, ...lines, ''].join('\n')
  })
}

/** /proc/swaps */
export function swaps({ uses }: HostFiles): File {
  return textFile(() => {
    const heading = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'
    const lines = uses.swaps.map((name, index) => {
      const path = nodePath(name, uses)
      return `${path.padEnd(40)}partition\t2097148\t\t0\t\t${String(-2 - index)}\n`
    })
    return heading + lines.join('')
  })
}

/** /proc/net */
export function netDirectory(files: HostFiles): Directory {
  const shown = (): readonly InterfaceUse[] =>
    files.uses.interfaces.filter(({ name }) => files.devices.ofClass('net').has(name))
  const table = (text: () => string): (() => File) => {
    return () => textFile(text)
  }
  return directory({
    route: table(() => routeTable(shown())),
    fib_trie: table(() => fibTrie(shown())),
    ipv6_route: table(() => ''),
    if_inet6: table(() => ''),
    tcp: table(() => sockets(files.uses, shown())),
    tcp6: table(() => SOCKETS_HEADING),
  })
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

/** As a little-endian processor writes the four bytes of an address. */
function swappedHex(value: number): string {
  const bytes = [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]
  return bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join('')
}

function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0
}

function routeTable(interfaces: readonly InterfaceUse[]): string {
  const heading =
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT'
  const row = (name: string, to: number, gateway: number, flags: string, mask: number): string =>
    `${name}\t${swappedHex(to)}\t${swappedHex(gateway)}\t${flags}\t0\t0\t0\t${swappedHex(mask)}\t0\t0\t0`
  const rows = interfaces.flatMap(({ name, address, prefix, gateway }) => {
    const mask = maskOf(prefix)
    const network = (numberOf(address) & mask) >>> 0
    const connected = row(name, network, 0, '0001', mask)
    // RTF_UP | RTF_GATEWAY
    return gateway === null ? [connected] : [row(name, 0, numberOf(gateway), '0003', 0), connected]
  })
  return [heading, ...rows].map((line) => `${line.padEnd(127)}\n`).join('')
}

function fibTrie(interfaces: readonly InterfaceUse[]): string {
  const leaves = ['127.0.0.1', ...interfaces.map(({ address }) => address)]
  const lines = leaves.flatMap((address) => [`     |-- ${address}`, '        /32 host LOCAL'])
  return ['Local:', '  +-- 0.0.0.0/0 2 0 2', ...lines, ''].join('\n')
}

const SOCKETS_HEADING =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'

/** TCP_ESTABLISHED and TCP_LISTEN (include/net/tcp_states.h), both at port 22. */
function sockets({ ssh }: HostUses, interfaces: readonly InterfaceUse[]): string {
  if (ssh === null) return SOCKETS_HEADING
  const local = interfaces[0]?.address ?? '127.0.0.1'
  const rows = [
    ['00000000:0016', '00000000:0000', '0A'],
    ...ssh.map((from, index) => [
      `${swappedHex(numberOf(local))}:0016`,
      `${swappedHex(numberOf(from))}:${(50022 + index).toString(16).toUpperCase()}`,
      '01',
    ]),
  ]
  const lines = rows.map(
    ([here = '', there = '', state = ''], index) =>
      `${String(index).padStart(4)}: ${here} ${there} ${state} 00000000:00000000 00:00000000 00000000     0        0 ${String(20000 + index)} 1\n`,
  )
  return SOCKETS_HEADING + lines.join('')
}

/** Bits of a usual keyboard with 105 keys. */
const KEYS = '1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe'

/** /proc/bus/input/devices: every input device of the model is a keyboard, "input3" with its "event3". */
export function inputDevices({ devices }: HostFiles): File {
  return textFile(() => [...devices.ofClass('input').values()].map(keyboard).join(''))
}

function keyboard({ name, path }: Device): string {
  const number = /\d+$/.exec(name)?.[0] ?? '0'
  return [
    'I: Bus=0003 Vendor=046d Product=c31c Version=0110',
    'N: Name="USB Keyboard"',
    'P: Phys=usb-0000:00:14.0-1/input0',
    `S: Sysfs=${path}`,
    'U: Uniq=',
    `H: Handlers=sysrq kbd leds event${number} `,
    'B: PROP=0',
    'B: EV=120013',
    `B: KEY=${KEYS}`,
    'B: MSC=10',
    'B: LED=7',
    '\n',
  ].join('\n')
}
