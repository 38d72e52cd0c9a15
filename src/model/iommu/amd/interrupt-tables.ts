/**
 * Interrupt remapping tables as the AMD driver fills them: one of 512 entries for each device, found
 * through its device table entry (alloc_irq_table and irte_ops of drivers/iommu/amd/iommu.c). A device
 * cannot name an entry of another one's table, so entries carry no source id.
 */
import { Errno } from '../../errno.ts'
import type { InterruptMessage } from '../../hardware/interrupt-message.ts'
import type { Interrupt } from '../../hardware/translation.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { requesterIds } from '../../pci/dma-alias-walk.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import { LowestFree } from '../tables/lowest-free.ts'
import type { InterruptMessages } from '../unit.ts'
import type { DeviceTable } from './device-table.ts'

/** MAX_IRQS_PER_TABLE */
const ENTRIES = 512
const ENABLED = 1

interface Table {
  readonly firstPage: number
  readonly indexes: LowestFree
}

export class InterruptTables implements InterruptMessages {
  readonly #memory: PhysicalMemory
  readonly #devices: DeviceTable
  /** Words of an entry: 1, or 4 in guest APIC mode. */
  readonly #entryWords: 1 | 4
  readonly #forget: (requester: number) => void
  /** By requester id; devices with an id in common share a table. */
  readonly #tables = new Map<number, Table>()

  /** @param forget tells the hardware that a device table entry has changed */
  constructor(
    memory: PhysicalMemory,
    devices: DeviceTable,
    guestApic: boolean,
    forget: (requester: number) => void,
  ) {
    this.#memory = memory
    this.#devices = devices
    this.#entryWords = guestApic ? 4 : 1
    this.#forget = forget
  }

  allocate(device: PciDevice, interrupts: readonly Interrupt[]): readonly InterruptMessage[] {
    const table = this.#tableOf(device)
    const first = table.indexes.take(blockSize(interrupts.length))
    if (first === -1) throw new Errno('ENOSPC', `the interrupt table of ${device.name} is full`)
    return interrupts.map((interrupt, n) => {
      this.#write(table, first + n, interrupt)
      return { address: 0xfee00000, data: first + n }
    })
  }

  free(device: PciDevice, messages: readonly InterruptMessage[]): void {
    const table = this.#tableOf(device)
    const [message] = messages
    if (message === undefined) return
    const count = blockSize(messages.length)
    for (let index = message.data; index < message.data + count; index += 1) {
      this.#entry(table, index).fill(0)
    }
    table.indexes.give(message.data, count)
  }

  #tableOf(device: PciDevice): Table {
    const ids = requesterIds(device)
    const shared = ids.map((id) => this.#tables.get(id)).find((table) => table !== undefined)
    const table = shared ?? {
      firstPage: this.#memory.allocate(Math.ceil((ENTRIES * this.#entryWords * 4) / 4096)),
      indexes: new LowestFree(ENTRIES),
    }
    for (const id of ids) {
      if (this.#tables.get(id) === table) continue
      this.#tables.set(id, table)
      this.#devices.remap(id, table.firstPage)
      this.#forget(id)
    }
    return table
  }

  #write(table: Table, index: number, { vector, destination }: Interrupt): void {
    const entry = this.#entry(table, index)
    if (this.#entryWords === 1) {
      entry[0] = ENABLED | ((destination & 0xff) << 8) | (vector << 16)
      return
    }
    entry[3] = destination & 0xff000000
    entry[2] = vector
    entry[0] = ENABLED | ((destination & 0xffffff) << 8)
  }

  #entry(table: Table, index: number): Uint32Array {
    const at = index * this.#entryWords
    const words = this.#memory.words(table.firstPage + (at >>> 10))
    return words.subarray(at & 1023, (at & 1023) + this.#entryWords)
  }
}

function blockSize(interrupts: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, interrupts)))
}
