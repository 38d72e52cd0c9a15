/**
 * Uevents as the kernel multicasts them: netlink family 15, group 1 (group 2 is udev's own, later and
 * rewritten). Messages of other processes are possible on such a socket and are thrown away: the kernel's
 * come from port 0. When the queue overflows the kernel says ENOBUFS once, which the reader is told as a
 * datagram without bytes: a lost uevent costs latency only, if somebody looks again.
 */
import { closeSync } from 'node:fs'
import type { EventSource } from '../kernel.ts'
import { checked, lastErrno, socketCalls, watchReadable } from './libc.ts'

const AF_NETLINK = 16
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0x80000 | 0x800
const NETLINK_KOBJECT_UEVENT = 15
const KERNEL_GROUP = 1
const SOL_SOCKET = 1
const SO_RCVBUF = 8
const SO_RCVBUFFORCE = 33
/** sizeof(struct sockaddr_nl): family u16, pad u16, port u32, groups u32. */
const ADDRESS_BYTES = 12
/** What a bus with thousands of functions sends while it is scanned. */
const RECEIVE_BYTES = 16 * 1024 * 1024
/** A uevent holds at most 2 KiB of variables (UEVENT_BUFFER_SIZE), and its header. */
const MESSAGE_BYTES = 8 * 1024
const NAME = 'uevents'

/** @throws KernelError EPERM ... where the process may not listen */
export function openUevents(): EventSource {
  const descriptor = openSocket()
  const queue: Uint8Array[] = []
  let waiting: ((result: IteratorResult<Uint8Array, undefined>) => void)[] = []
  let closed = false
  const end = (): void => {
    if (closed) return
    closed = true
    watch.close()
    closeSync(descriptor)
    for (const resolve of waiting) resolve({ done: true, value: undefined })
    waiting = []
  }
  const watch = watchReadable(descriptor, () => {
    for (;;) {
      const received = receive(descriptor)
      if (received === 'nothing yet') return
      if (received === 'broken') return end()
      if (received === 'not a uevent') continue
      const next = waiting.shift()
      if (next === undefined) queue.push(received)
      else next({ done: false, value: received })
      watch.hold(waiting.length > 0)
    }
  })
  return {
    [Symbol.asyncIterator]: () => ({
      next() {
        const value = queue.shift()
        if (value !== undefined) return Promise.resolve({ done: false, value })
        if (closed) return Promise.resolve({ done: true, value: undefined })
        watch.hold(true)
        return new Promise((resolve) => {
          waiting.push(resolve)
        })
      },
    }),
    close() {
      end()
      return Promise.resolve()
    },
  }
}

function openSocket(): number {
  const type = SOCK_DGRAM_CLOEXEC_NONBLOCK
  const descriptor = checked(
    socketCalls().socket(AF_NETLINK, type, NETLINK_KOBJECT_UEVENT),
    'open',
    NAME,
  )
  try {
    const size = new Uint8Array(Uint32Array.of(RECEIVE_BYTES).buffer)
    // Beyond the system's limit only with CAP_NET_ADMIN; without it, as much as is allowed.
    if (socketCalls().setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, size, 4) !== 0) {
      socketCalls().setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, size, 4)
    }
    const address = new Uint8Array(ADDRESS_BYTES)
    const view = new DataView(address.buffer)
    view.setUint16(0, AF_NETLINK, true)
    view.setUint32(8, KERNEL_GROUP, true)
    checked(socketCalls().bind(descriptor, address, ADDRESS_BYTES), 'open', NAME)
    return descriptor
  } catch (cause) {
    closeSync(descriptor)
    throw cause
  }
}

/** Says that datagrams were lost. */
const LOST = new Uint8Array(0)

/** One datagram; whatever else goes wrong ends the source. */
function receive(descriptor: number): Uint8Array | 'nothing yet' | 'not a uevent' | 'broken' {
  const buffer = new Uint8Array(MESSAGE_BYTES)
  const sender = new Uint8Array(ADDRESS_BYTES)
  const senderLength = new Uint8Array(Uint32Array.of(ADDRESS_BYTES).buffer)
  const length = socketCalls().recvfrom(descriptor, buffer, MESSAGE_BYTES, 0, sender, senderLength)
  if (Number(length) < 0) {
    const errno = lastErrno()
    if (errno === 'EAGAIN') return 'nothing yet'
    if (errno === 'ENOBUFS') return LOST
    return errno === 'EINTR' ? 'not a uevent' : 'broken'
  }
  const port = new DataView(sender.buffer).getUint32(4, true)
  return port === 0 && Number(length) > 0 ? buffer.subarray(0, Number(length)) : 'not a uevent'
}
