/**
 * INTx for a user: level triggered and perhaps shared, so the kernel masks it when it fires, and the user
 * says when he has dealt with the cause (vfio_intx_* of drivers/vfio/pci/vfio_pci_intrs.c).
 *
 *     pin asserted --> masked, event --> user serves the device --> unmask --> pin still asserted? again
 *
 * Devices since PCI 2.3 tell whether the pin is theirs and can be masked by a bit of the command register;
 * for others the line of the interrupt controller is switched off.
 */
import type { EventCounter } from '../../event-counter.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import { enablePin } from '../../pci/power.ts'
import type { InterruptVectors } from '../interrupt-vectors.ts'

const COMMAND = 0x04
const STATUS = 0x06
const INTX_DISABLE = 0x400
const INTERRUPT_STATUS = 0x8

export class PinInterrupt {
  readonly #device: PciDevice
  /** The command register has a working mask bit (pci_2_3). */
  readonly #masksItself: boolean
  readonly #userDisabled: () => boolean
  readonly #disconnect: () => void
  #trigger: EventCounter | null
  #masked: boolean
  /** Stops listening for the event that unmasks. */
  #stopUnmask: (() => void) | null = null

  /** @param userDisabled the user's own DisINTx bit */
  constructor(
    vectors: InterruptVectors,
    device: PciDevice,
    masksItself: boolean,
    userDisabled: () => boolean,
    trigger: EventCounter | null,
  ) {
    this.#device = device
    this.#masksItself = masksItself
    this.#userDisabled = userDisabled
    this.#trigger = trigger
    this.#masked = userDisabled()
    this.#disconnect = vectors.onPin(device.hardware, () => {
      this.#fired()
    })
    if (masksItself) enablePin(device, !this.#masked)
    if (this.#pending) this.#fired()
  }

  setTrigger(trigger: EventCounter | null): void {
    this.#trigger = trigger
    this.#unmaskAgain()
  }

  /** vfio_send_intx_eventfd() */
  send(): void {
    if (!this.#userDisabled()) this.#trigger?.signal()
  }

  /** @returns whether it was unmasked before */
  mask(): boolean {
    if (this.#masked) return false
    if (this.#masksItself) enablePin(this.#device, false)
    this.#masked = true
    return true
  }

  unmask(): void {
    if (this.#masked && !this.#userDisabled() && this.#reopen()) this.send()
  }

  /** Unmasks whenever the counter is signalled; null stops that. */
  unmaskOn(counter: EventCounter | null): void {
    this.#stopUnmask?.()
    this.#stopUnmask = null
    if (counter === null) return
    const stop = counter.listen(() => {
      counter.take()
      this.unmask()
    })
    this.#stopUnmask = stop
    counter.onRelease(() => {
      if (this.#stopUnmask === stop) this.#stopUnmask = null
    })
  }

  get unmasksOnEvent(): boolean {
    return this.#stopUnmask !== null
  }

  disable(): void {
    this.#stopUnmask?.()
    this.#disconnect()
  }

  get #pending(): boolean {
    const { config } = this.#device.hardware
    return config.present && (config.read(STATUS, 2) & INTERRUPT_STATUS) !== 0
  }

  /** vfio_intx_handler() */
  #fired(): void {
    if (this.#masked) return
    if (this.#masksItself) {
      if (!this.#pending) return
      enablePin(this.#device, false)
    }
    this.#masked = true
    this.send()
  }

  /** @returns whether the device asserts the pin still: then it stays masked, and the event is sent again */
  #reopen(): boolean {
    if (this.#pending) return true
    if (this.#masksItself) enablePin(this.#device, true)
    this.#masked = false
    return false
  }

  /** A new trigger must hear of what is asserted already. */
  #unmaskAgain(): void {
    if (!this.#masked && this.#pending) this.#fired()
  }
}

/** pci_intx_mask_supported(): the bit can be changed. */
export function masksPinItself({ hardware: { config } }: PciDevice): boolean {
  const before = config.read(COMMAND, 2)
  config.write(COMMAND, 2, before ^ INTX_DISABLE)
  const changed = ((config.read(COMMAND, 2) ^ before) & INTX_DISABLE) !== 0
  config.write(COMMAND, 2, before)
  return changed
}
