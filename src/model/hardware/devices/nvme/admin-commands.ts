/**
 * The admin command set (NVM Express 1.4, chapter 5): how a driver learns what a controller has and
 * makes its I/O queues. Queues may be refused for reasons checked in the order of QEMU's
 * controller.
 */
import type { BusMaster } from '../../function.ts'
import type { BlockStore } from './block-store.ts'
import {
  type Identity,
  identifyController,
  identifyNamespace,
  logPage,
  namespaceDescriptors,
  namespaceList,
} from './identify.ts'
import { type Command, CompletionQueue, type Outcome, SubmissionQueue } from './nvme-queues.ts'
import { MAX_EVENT_REQUESTS, MAX_IO_QUEUES, MAX_QUEUE_SIZE } from './nvme-registers.ts'
import { CommandFailure, STATUS } from './nvme-status.ts'
import { writeData } from './prp.ts'

/** What the commands work on: the controller between two resets. */
export interface AdminState {
  readonly identity: Identity
  readonly store: BlockStore
  /** Interrupt vectors that may be named now: one without MSI-X. */
  readonly vectors: number
  /** By id; 0 is the admin queue. */
  readonly submissions: Map<number, SubmissionQueue>
  readonly completions: Map<number, CompletionQueue>
  /** Set Features values by feature id. */
  readonly features: Map<number, number>
  /** Ids of event requests that wait for an event. */
  readonly eventRequests: number[]
  port: BusMaster | null
  /** Completes a waiting event request. */
  finishEvent(id: number, outcome: Outcome): void
}

type Execute = (state: AdminState, command: Command) => Outcome | null

const COMMANDS: ReadonlyMap<number, Execute> = new Map<number, Execute>([
  [0x00, deleteSubmissionQueue],
  [0x01, createSubmissionQueue],
  [0x02, getLogPage],
  [0x04, deleteCompletionQueue],
  [0x05, createCompletionQueue],
  [0x06, identify],
  [0x08, abort],
  [0x09, setFeatures],
  [0x0a, getFeatures],
  [0x0c, requestEvent],
])

/** @returns null when the command is held until later @throws CommandFailure */
export function executeAdmin(state: AdminState, command: Command): Outcome | null {
  const execute = COMMANDS.get(command.opcode)
  return execute === undefined ? fail('invalidOpcode') : execute(state, command)
}

function fail(status: keyof typeof STATUS): never {
  throw new CommandFailure(STATUS[status])
}

function done(result = 0): Outcome {
  return { status: STATUS.success, result }
}

function deleteSubmissionQueue(state: AdminState, command: Command): Outcome {
  const id = command.dword(10) & 0xffff
  if (id === 0 || !state.submissions.delete(id)) fail('invalidQueueId')
  return done()
}

function createSubmissionQueue(state: AdminState, command: Command): Outcome {
  const completions = state.completions.get(command.dword(11) >>> 16)
  if (completions === undefined || completions.id === 0) fail('completionQueueInvalid')
  const { id, size } = wanted(command, state.submissions)
  const base = command.prp1
  state.submissions.set(id, new SubmissionQueue({ id, base, size, completions }))
  return done()
}

function createCompletionQueue(state: AdminState, command: Command): Outcome {
  const { id, size } = wanted(command, state.completions)
  const vector = command.dword(11) >>> 16
  if (vector >= state.vectors) fail('invalidInterruptVector')
  const interrupts = (command.dword(11) & 2) !== 0
  const base = command.prp1
  state.completions.set(
    id,
    new CompletionQueue({ id, base, size, vector: interrupts ? vector : null }),
  )
  return done()
}

/** Id and size that a create command asks for, checked. */
function wanted(
  command: Command,
  queues: ReadonlyMap<number, unknown>,
): { id: number; size: number } {
  const id = command.dword(10) & 0xffff
  const last = command.dword(10) >>> 16
  if (id === 0 || id > MAX_IO_QUEUES || queues.has(id)) fail('invalidQueueId')
  if (last === 0 || last > MAX_QUEUE_SIZE) fail('invalidQueueSize')
  if (command.prp1.offset !== 0) fail('prpOffsetInvalid')
  // Queues must be contiguous (CAP.CQR).
  if ((command.dword(11) & 1) === 0) fail('invalidField')
  return { id, size: last + 1 }
}

function deleteCompletionQueue(state: AdminState, command: Command): Outcome {
  const id = command.dword(10) & 0xffff
  if (id === 0 || !state.completions.has(id)) fail('invalidQueueId')
  for (const queue of state.submissions.values()) {
    if (queue.completions.id === id) fail('invalidQueueDeletion')
  }
  state.completions.delete(id)
  return done()
}

function identify(state: AdminState, command: Command): Outcome {
  writeData(state.port, command, identifyData(state, command))
  return done()
}

function identifyData({ identity, store }: AdminState, command: Command): Uint8Array {
  const { namespace } = command
  switch (command.dword(10) & 0xff) {
    case 0:
      return namespace === 1 ? identifyNamespace(store) : fail('invalidNamespace')
    case 1:
      return identifyController(identity)
    case 2:
      return namespace < 0xfffffffe ? namespaceList(namespace) : fail('invalidNamespace')
    case 3:
      return namespace === 1 ? namespaceDescriptors(identity.serial) : fail('invalidNamespace')
    default:
      return fail('invalidField')
  }
}

function getLogPage(state: AdminState, command: Command): Outcome {
  const length = (((command.dword(11) & 0xffff) << 16) | (command.dword(10) >>> 16)) + 1
  const offset = command.dword(12)
  const page = logPage(command.dword(10) & 0xff)
  if (page === null) fail('invalidLogPage')
  if (offset > page.length || command.dword(13) !== 0 || offset % 4 !== 0) fail('invalidField')
  writeData(state.port, command, page.subarray(offset, Math.min(page.length, offset + 4 * length)))
  return done()
}

/** Commands run to their end when they are fetched; only event requests can still be waiting. */
function abort(state: AdminState, command: Command): Outcome {
  const queue = command.dword(10) & 0xffff
  const id = command.dword(10) >>> 16
  const index = queue === 0 ? state.eventRequests.indexOf(id) : -1
  if (index < 0) return done(1)
  state.eventRequests.splice(index, 1)
  state.finishEvent(id, { status: STATUS.abortRequested, result: 0 })
  return done(0)
}

const NUMBER_OF_QUEUES = 0x07
/** Feature ids with their values at power-on. */
export const DEFAULT_FEATURES: ReadonlyMap<number, number> = new Map([
  [0x01, 6], // arbitration
  [0x02, 0], // power state
  [0x04, 0x157], // temperature threshold
  [0x05, 0], // error recovery
  [0x06, 1], // volatile write cache
  [NUMBER_OF_QUEUES, (MAX_IO_QUEUES - 1) | ((MAX_IO_QUEUES - 1) << 16)],
  [0x08, 0], // interrupt coalescing
  [0x09, 0], // interrupt vector configuration
  [0x0a, 0], // write atomicity
  [0x0b, 0], // events to report
])

function setFeatures(state: AdminState, command: Command): Outcome {
  const feature = command.dword(10) & 0xff
  const value = command.dword(11)
  if (!state.features.has(feature)) fail('invalidField')
  if (feature !== NUMBER_OF_QUEUES) {
    state.features.set(feature, value)
    return done()
  }
  if ((value & 0xffff) === 0xffff || value >>> 16 === 0xffff) fail('invalidField')
  if (state.submissions.size > 1 || state.completions.size > 1) fail('commandSequence')
  return done(state.features.get(NUMBER_OF_QUEUES))
}

function getFeatures(state: AdminState, command: Command): Outcome {
  const value = state.features.get(command.dword(10) & 0xff)
  return value === undefined ? fail('invalidField') : done(value)
}

function requestEvent(state: AdminState, command: Command): null {
  if (state.eventRequests.length >= MAX_EVENT_REQUESTS) fail('eventLimitExceeded')
  state.eventRequests.push(command.id)
  return null
}
