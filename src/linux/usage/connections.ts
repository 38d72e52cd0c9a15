/**
 * By which connection the caller is logged in, and whether others could log in: SSH_CONNECTION and the tables
 * of TCP sockets.
 *
 * sudo takes SSH_CONNECTION away, so it is looked for in the programs above the caller too (/proc/PID/environ).
 * Where none of them has it (a terminal multiplexer, a service) any open connection to the SSH server may be
 * the caller's, and is taken for it.
 *
 *     /proc/net/tcp   sl: local_address rem_address st ...   "0A01A8C0:0016 05...:C366 01", address bytes swapped
 */
import { type Fact, known } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readText } from '../reading.ts'
import { normalized } from './routes.ts'

export interface Login {
  /** The host's end, in the form of routes.ts; with the interface where the address names it (fe80::1%eth0). */
  readonly address: string
  readonly zone: string | null
  /** Who is at the other end. */
  readonly from: string
  /** False: it may be somebody else's. */
  readonly isCallers: boolean
}

export interface Connections {
  readonly logins: readonly Login[]
  /** Whether an SSH server listens on other addresses than loopback. */
  readonly letsIn: boolean
}

const SSH_PORT = 22
const ESTABLISHED = '01'
const LISTEN = '0A'

export function readConnections(
  kernel: KernelView,
  sshConnection: string | null,
): Fact<Connections> {
  const sockets: Socket[] = []
  for (const name of ['tcp', 'tcp6']) {
    const text = readText(kernel, `/proc/net/${name}`, 16 * 1024 * 1024)
    if (!text.known) return text
    sockets.push(...parseSockets(text.value ?? ''))
  }
  const environment = sshConnection ?? inherited(kernel)
  const own = environment === null ? null : parseConnection(environment)
  const port = own?.port ?? SSH_PORT
  const isSsh = (socket: Socket): boolean => socket.port === port || socket.port === SSH_PORT
  const others = sockets
    .filter((socket) => socket.state === ESTABLISHED && isSsh(socket))
    .map(({ address, remote }) => ({ address, zone: null, from: remote, isCallers: false }))
  return known({
    logins: own === null ? others : [own.login],
    letsIn: sockets.some(
      (socket) => socket.state === LISTEN && isSsh(socket) && !isLoopback(socket.address),
    ),
  })
}

interface Socket {
  readonly address: string
  readonly port: number
  readonly remote: string
  readonly state: string
}

function parseSockets(text: string): readonly Socket[] {
  return text.split('\n').flatMap((line) => {
    const [slot, local, remote, state] = line.trim().split(/\s+/)
    if (!/^\d+:$/.test(slot ?? '') || state === undefined) return []
    const [address, port] = (local ?? '').split(':')
    const [from] = (remote ?? '').split(':')
    return [
      {
        address: socketAddress(address ?? ''),
        port: parseInt(port ?? '', 16),
        remote: socketAddress(from ?? ''),
        state,
      },
    ]
  })
}

/** Words of four bytes, each in the byte order of the processor. */
function socketAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse())
  if (bytes.length === 4) return bytes.map((byte) => String(parseInt(byte, 16))).join('.')
  const groups = (bytes.join('').match(/.{4}/g) ?? []).join(':').toLowerCase()
  const mapped = /^(?:0000:){5}ffff:(.{4}):(.{4})$/.exec(groups)
  if (mapped === null) return groups
  return ((mapped[1] ?? '') + (mapped[2] ?? ''))
    .replaceAll(/../g, (byte) => `${String(parseInt(byte, 16))}.`)
    .slice(0, -1)
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '0000:0000:0000:0000:0000:0000:0000:0001'
}

interface OwnConnection {
  readonly login: Login
  readonly port: number
}

/** "10.0.0.5 50022 10.0.0.1 22": the client, then the host (sshd, session.c). */
function parseConnection(text: string): OwnConnection | null {
  const [from, , local, port] = text.trim().split(/\s+/)
  const address = normalized(local ?? '')
  if (address === null) return null
  const zone = (local ?? '').split('%')[1] ?? null
  return {
    login: { address, zone, from: from ?? '', isCallers: true },
    port: Number(port ?? SSH_PORT),
  }
}

/** Processes above the caller; the kernel allows no loops among them. */
const ANCESTORS_MAX = 64

function inherited(kernel: KernelView): string | null {
  let pid = parentOf(kernel, 'self')
  for (let i = 0; i < ANCESTORS_MAX && pid !== null && pid !== '0'; i++) {
    const environment = readText(kernel, `/proc/${pid}/environ`)
    const text = environment.known ? (environment.value ?? '') : ''
    const found = /(?:^|\0)SSH_CONNECTION=([^\0]*)/.exec(text)?.[1]
    if (found !== undefined && found !== '') return found
    pid = parentOf(kernel, pid)
  }
  return null
}

function parentOf(kernel: KernelView, pid: string): string | null {
  const status = readText(kernel, `/proc/${pid}/status`)
  const text = status.known ? (status.value ?? '') : ''
  return /^PPid:\s*(\d+)$/m.exec(text)?.[1] ?? null
}
