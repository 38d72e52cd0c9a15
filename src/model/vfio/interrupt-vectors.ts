/**
 * Interrupts of processors for devices in user hands: which vector of which processor calls whom, and
 * which messages raise them (arch/x86/kernel/apic/vector.c, kernel/irq/).
 *
 *     device --message--> IOMMU (remaps, or refuses) --> processor, vector --> handler
 *
 * What arrives is a vector of a processor, no matter who sent it: where messages are not remapped, a device
 * can raise any handler by writing to the interrupt window.
 */
import { Errno } from '../errno.ts'
import type { Fabric } from '../hardware/fabric.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import { type InterruptMessage, plainMessage } from '../hardware/interrupt-message.ts'
import type { Interrupt } from '../hardware/translation.ts'
import type { IommuUnit } from '../iommu/unit.ts'
import type { PciDevice } from '../pci/pci-device.ts'

/** Vectors below are exceptions and the kernel's own, those above are for signals between processors. */
const FIRST_VECTOR = 0x22
const LAST_VECTOR = 0xeb
const PROCESSORS = 256

/** Interrupts of one device, with the messages that raise them. */
export interface AllocatedInterrupts {
  readonly messages: readonly InterruptMessage[]
  free(): void
}

/** What is used of the memory fabric. */
export type InterruptFabric = Pick<Fabric, 'onInterrupt' | 'onPin'>

export class InterruptVectors {
  readonly #handlers = new Map<number, () => void>()
  readonly #pins = new Map<HardwareFunction, () => void>()

  constructor(fabric: InterruptFabric) {
    fabric.onInterrupt(({ interrupt }) => this.#handlers.get(keyOf(interrupt))?.())
    fabric.onPin((fn, level) => {
      if (level) this.#pins.get(fn)?.()
    })
  }

  /**
   * Interrupts for one block of messages.
   * @param unit remaps them, if it can @throws Errno ENOSPC
   */
  allocate(
    device: PciDevice,
    unit: IommuUnit | undefined,
    handlers: readonly (() => void)[],
  ): AllocatedInterrupts {
    const interrupts: Interrupt[] = []
    const release = (): void => {
      for (const interrupt of interrupts) this.#handlers.delete(keyOf(interrupt))
    }
    const remapping = unit?.interrupts
    try {
      for (const handler of handlers) interrupts.push(this.#take(handler))
      const messages = remapping?.allocate(device, interrupts) ?? interrupts.map(plainMessage)
      const free = (): void => {
        remapping?.free(device, messages)
        release()
      }
      return { messages, free }
    } catch (error) {
      release()
      throw error
    }
  }

  /** Calls the handler when the function asserts its INTx pin. @returns a function that stops it */
  onPin(fn: HardwareFunction, handler: () => void): () => void {
    this.#pins.set(fn, handler)
    return () => this.#pins.delete(fn)
  }

  #take(handler: () => void): Interrupt {
    for (let destination = 0; destination < PROCESSORS; destination += 1) {
      for (let vector = FIRST_VECTOR; vector <= LAST_VECTOR; vector += 1) {
        const interrupt = { vector, destination }
        if (this.#handlers.has(keyOf(interrupt))) continue
        this.#handlers.set(keyOf(interrupt), handler)
        return interrupt
      }
    }
    throw new Errno('ENOSPC', 'no free vectors')
  }
}

function keyOf({ vector, destination }: Interrupt): number {
  return destination * 256 + vector
}
