/**
 * QEMU's machine protocol: JSON objects, one a line, over a unix socket. Commands are answered in
 * order, with events in between. Used to plug devices into a running guest and to take them out.
 */
import { createConnection, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export type QmpEvent = {
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

type QmpMessage = {
  readonly QMP?: unknown
  readonly return?: unknown
  readonly error?: { readonly class: string; readonly desc: string }
  readonly event?: string
  readonly data?: Readonly<Record<string, unknown>>
  readonly id?: number
}

type Waiting = {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly command: string
}

type EventWaiting = {
  readonly matches: (event: QmpEvent) => boolean
  readonly resolve: (event: QmpEvent) => void
  readonly reject: (error: Error) => void
}

const removalDeadlineMs = 30_000

export class QmpClient {
  readonly #socket: Socket
  readonly #commands = new Map<number, Waiting>()
  readonly #events = new Set<EventWaiting>()
  #lastId = 0

  constructor(socket: Socket) {
    this.#socket = socket
    createInterface({ input: socket }).on('line', (line) => {
      this.#receive(JSON.parse(line) as QmpMessage)
    })
    socket.on('error', () => this.#fail())
    socket.on('close', () => this.#fail())
  }

  /** Connects to QEMU's socket and leaves the greeting behind. */
  static async connect(path: string): Promise<QmpClient> {
    const socket = createConnection(path)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const client = new QmpClient(socket)
    await client.execute('qmp_capabilities')
    return client
  }

  /** Runs one command; QEMU's refusal becomes an error that names the command. */
  execute(
    command: string,
    commandArguments: Readonly<Record<string, unknown>> = {},
  ): Promise<unknown> {
    this.#lastId += 1
    const id = this.#lastId
    const text = JSON.stringify({ execute: command, arguments: commandArguments, id })
    return new Promise((resolve, reject) => {
      this.#commands.set(id, { resolve, reject, command })
      this.#socket.write(`${text}\n`)
    })
  }

  /** Waits for the next event that matches. */
  waitFor(matches: (event: QmpEvent) => boolean, deadlineMs: number): Promise<QmpEvent> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#events.delete(waiting)
        reject(new Error(`no such QEMU event within ${deadlineMs} ms`))
      }, deadlineMs)
      // The socket keeps the process alive; a wait that nobody needs any more must not.
      timer.unref()
      const waiting: EventWaiting = {
        matches,
        resolve: (event) => {
          clearTimeout(timer)
          resolve(event)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      }
      this.#events.add(waiting)
    })
  }

  /** Plugs a device in: `driver`, `id`, `bus` and any other property of `-device`. */
  async addDevice(properties: Readonly<Record<string, string | number | boolean>>): Promise<void> {
    await this.execute('device_add', properties)
  }

  /** Asks the guest to give a device up, and returns when QEMU has taken it out. */
  async removeDevice(id: string): Promise<void> {
    const removed = this.waitFor((event) => {
      return event.event === 'DEVICE_DELETED' && event.data['device'] === id
    }, removalDeadlineMs)
    // A refusal of the command is reported by itself; the wait then ends in silence.
    removed.catch(() => undefined)
    await this.execute('device_del', { id })
    await removed
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(message: QmpMessage): void {
    if (message.event !== undefined) {
      const event = { event: message.event, data: message.data ?? {} }
      for (const waiting of this.#events) {
        if (!waiting.matches(event)) continue
        this.#events.delete(waiting)
        waiting.resolve(event)
      }
      return
    }
    const waiting = message.id === undefined ? undefined : this.#commands.get(message.id)
    if (message.id === undefined || waiting === undefined) return
    this.#commands.delete(message.id)
    if (message.error === undefined) waiting.resolve(message.return)
    else waiting.reject(new Error(`QEMU refused ${waiting.command}: ${message.error.desc}`))
  }

  #fail(): void {
    const error = new Error('QEMU closed its control socket')
    for (const waiting of this.#commands.values()) waiting.reject(error)
    for (const waiting of this.#events) waiting.reject(error)
    this.#commands.clear()
    this.#events.clear()
  }
}
