/**
 * PRPs, physical region pages: how an NVMe command says where its data is (NVM Express 1.4, 4.3).
 *
 * The first entry may begin inside a page; every other covers a whole page. With more than two
 * pages the second entry points at a list of entries, and where a list fills its page, the last
 * entry of the page points at the next list. Each of these pages is fetched by DMA and may be
 * refused by the IOMMU.
 */
import type { BusMaster } from '../../function.ts'
import { advanceAddress, type BusAddress, busAddress, dmaRead, dmaWrite } from '../bus-address.ts'
import type { Command } from './nvme-queues.ts'
import { PAGE } from './nvme-registers.ts'
import { CommandFailure, STATUS } from './nvme-status.ts'

const ENTRY = 8

/** Fetches the command's data from the host. @throws CommandFailure */
export function readData(port: BusMaster | null, command: Command, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let done = 0
  for (const { at, size } of regions(port, command, length)) {
    const piece = dmaRead(port, at, size)
    if (piece === null) throw new CommandFailure(STATUS.dataTransferError)
    bytes.set(piece, done)
    done += size
  }
  return bytes
}

/** Delivers data to the host. @throws CommandFailure */
export function writeData(port: BusMaster | null, command: Command, bytes: Uint8Array): void {
  let done = 0
  for (const { at, size } of regions(port, command, bytes.length)) {
    if (!dmaWrite(port, at, bytes.subarray(done, done + size))) {
      throw new CommandFailure(STATUS.dataTransferError)
    }
    done += size
  }
}

interface Region {
  readonly at: BusAddress
  readonly size: number
}

function regions(port: BusMaster | null, command: Command, length: number): readonly Region[] {
  const { prp1, prp2 } = command
  if (prp1.offset % 4 !== 0) throw new CommandFailure(STATUS.prpOffsetInvalid)
  const first = { at: prp1, size: Math.min(length, PAGE - prp1.offset) }
  const rest = length - first.size
  if (rest === 0) return [first]
  const pages = rest <= PAGE ? [prp2] : listed(port, prp2, Math.ceil(rest / PAGE))
  if (pages.some((page) => page.offset !== 0)) throw new CommandFailure(STATUS.prpOffsetInvalid)
  return [first, ...pages.map((at, n) => ({ at, size: Math.min(PAGE, rest - n * PAGE) }))]
}

/** Entries of the list at an address, following it from page to page. */
function listed(port: BusMaster | null, list: BusAddress, count: number): readonly BusAddress[] {
  const pages: BusAddress[] = []
  let next = list
  while (pages.length < count) {
    if (next.offset % ENTRY !== 0) throw new CommandFailure(STATUS.prpOffsetInvalid)
    const left = count - pages.length
    const room = (PAGE - next.offset) / ENTRY
    const entries = fetchEntries(port, next, Math.min(left, room))
    const chained = left > room ? entries.pop() : undefined
    pages.push(...entries)
    next = chained ?? advanceAddress(next, entries.length * ENTRY)
  }
  return pages
}

function fetchEntries(port: BusMaster | null, at: BusAddress, count: number): BusAddress[] {
  const bytes = dmaRead(port, at, count * ENTRY)
  if (bytes === null) throw new CommandFailure(STATUS.dataTransferError)
  const view = new DataView(bytes.buffer)
  return Array.from({ length: count }, (_, n) =>
    busAddress(view.getUint32(n * ENTRY, true), view.getUint32(n * ENTRY + 4, true)),
  )
}
