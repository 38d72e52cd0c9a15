/** The NVM command set: what comes through I/O queues (NVM Express 1.4, chapter 6). */
import type { BusMaster } from '../../function.ts'
import type { BlockStore } from './block-store.ts'
import type { Command, Outcome } from './nvme-queues.ts'
import { BLOCK_BYTES, MAX_TRANSFER_POWER, PAGE } from './nvme-registers.ts'
import { CommandFailure, STATUS } from './nvme-status.ts'
import { readData, writeData } from './prp.ts'

const FLUSH = 0x00
const WRITE = 0x01
const READ = 0x02
const WRITE_ZEROES = 0x08
const ALL_NAMESPACES = 0xffffffff
const DONE: Outcome = { status: STATUS.success, result: 0 }

/** @throws CommandFailure */
export function executeIo(port: BusMaster | null, store: BlockStore, command: Command): Outcome {
  const { opcode, namespace } = command
  if (![FLUSH, WRITE, READ, WRITE_ZEROES].includes(opcode)) {
    throw new CommandFailure(STATUS.invalidOpcode)
  }
  if (namespace !== 1 && !(opcode === FLUSH && namespace === ALL_NAMESPACES)) {
    throw new CommandFailure(STATUS.invalidNamespace)
  }
  // Writes are on the medium when they complete.
  if (opcode === FLUSH) return DONE
  const block = command.dword(10) + command.dword(11) * 2 ** 32
  const count = (command.dword(12) & 0xffff) + 1
  const length = count * BLOCK_BYTES
  if (opcode !== WRITE_ZEROES && length > PAGE << MAX_TRANSFER_POWER) {
    throw new CommandFailure(STATUS.invalidField)
  }
  if (block + count > store.blocks) throw new CommandFailure(STATUS.lbaOutOfRange)
  if (opcode === READ) writeData(port, command, store.read(block, count))
  else if (opcode === WRITE) store.write(block, readData(port, command, length))
  else store.write(block, new Uint8Array(length))
  return DONE
}
