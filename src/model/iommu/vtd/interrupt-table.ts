/**
 * The interrupt remapping table as the driver fills it (drivers/iommu/intel/irq_remapping.c): 65536
 * entries of 16 bytes in 1 MiB of memory. A device gets entries that accept messages from it alone.
 */
import { Errno } from '../../errno.ts'
import type { InterruptMessage } from '../../hardware/interrupt-message.ts'
import type { Interrupt } from '../../hardware/translation.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { forEachDmaAlias } from '../../pci/dma-alias-walk.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import { LowestFree } from '../tables/lowest-free.ts'
import type { InterruptMessages } from '../unit.ts'

/** INTR_REMAP_TABLE_ENTRIES */
export const INTERRUPT_ENTRIES = 65536
const ENTRIES_PER_PAGE = 256

/** Validate the whole source id, or the bus range of it (SVT << 18). */
const VERIFY_ID = 1 << 18
const VERIFY_BUS = 2 << 18

const PRESENT = 1
const REDIRECTION_HINT = 1 << 3

export class InterruptTableDriver implements InterruptMessages {
  readonly firstPage: number
  readonly #memory: PhysicalMemory
  readonly #x2apic: boolean
  readonly #indexes = new LowestFree(INTERRUPT_ENTRIES)

  /** @throws Errno ENOMEM */
  constructor(memory: PhysicalMemory, x2apic: boolean) {
    this.#memory = memory
    this.#x2apic = x2apic
    // On a boundary of 2 MiB nobody has been before: most of the table is never touched.
    this.firstPage = memory.allocate(INTERRUPT_ENTRIES / ENTRIES_PER_PAGE, 512)
  }

  allocate(device: PciDevice, interrupts: readonly Interrupt[]): readonly InterruptMessage[] {
    const first = this.#indexes.take(blockSize(interrupts.length))
    if (first === -1) throw new Errno('ENOSPC', 'the interrupt remapping table is full')
    const source = sourceOf(device)
    return interrupts.map((interrupt, n) => {
      this.#write(first + n, interrupt, source)
      return messageOf(first, n)
    })
  }

  free(_device: PciDevice, messages: readonly InterruptMessage[]): void {
    const [message] = messages
    if (message === undefined) return
    const first = ((message.address >>> 5) & 0x7fff) | ((message.address & 4) << 13)
    const count = blockSize(messages.length)
    for (let index = first; index < first + count; index += 1) this.#entry(index).fill(0)
    this.#indexes.give(first, count)
  }

  #write(index: number, { vector, destination }: Interrupt, source: number): void {
    const entry = this.#entry(index)
    entry[3] = 0
    entry[2] = source
    entry[1] = this.#x2apic ? destination : destination << 8
    entry[0] = PRESENT | REDIRECTION_HINT | (vector << 16)
  }

  #entry(index: number): Uint32Array {
    const at = (index % ENTRIES_PER_PAGE) * 4
    const page = this.firstPage + Math.floor(index / ENTRIES_PER_PAGE)
    return this.#memory.words(page).subarray(at, at + 4)
  }
}

/** Blocks of multi-vector MSI are powers of two. */
function blockSize(interrupts: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, interrupts)))
}

/** Remappable format: handle in 19:5 and 2, bit 4 says so, bit 3: data holds a sub-handle. */
function messageOf(handle: number, subhandle: number): InterruptMessage {
  const bits = ((handle & 0x7fff) << 5) | 0x10 | 0x08 | ((handle >>> 15) << 2)
  return { address: (0xfee00000 | bits) >>> 0, data: subhandle }
}

/**
 * Who may use the entry (set_msi_sid): the device by its full id; by bus only where its messages arrive
 * under an id made by a PCIe-to-PCI bridge, or under many ids of one bus.
 */
function sourceOf(device: PciDevice): number {
  let [count, sameBus, lastId] = [0, 0, 0]
  let owner = device
  forEachDmaAlias(device, (aliasOwner, id) => {
    if (count === 0 || id >>> 8 === lastId >>> 8) sameBus += 1
    count += 1
    owner = aliasOwner
    lastId = id
    return false
  })
  const bus = device.pciBus.number
  if (lastId >>> 8 !== owner.pciBus.number) return VERIFY_BUS | ((lastId >>> 8) << 8) | bus
  if (count >= 2 && sameBus === count) return VERIFY_BUS | (bus << 8) | bus
  if (owner.pciBus.number !== bus) return VERIFY_ID | lastId
  return VERIFY_ID | (bus << 8) | device.devfn
}
