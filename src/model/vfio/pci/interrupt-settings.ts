/**
 * DEVICE_SET_IRQS and DEVICE_GET_IRQ_INFO (drivers/vfio/pci/vfio_pci_intrs.c): which event counter rings
 * for which interrupt. A device uses one of INTx, MSI and MSI-X at a time; errors and requests to let go
 * have a counter each beside that.
 */
import { atLeast, type KernelVersion } from '../../../base/kernel-version.ts'
import type { KernelContext } from '../../context.ts'
import { Errno } from '../../errno.ts'
import { EventCounter } from '../../event-counter.ts'
import type { IommuUnit } from '../../iommu/unit.ts'
import { mayUseMessages, type PciDevice } from '../../pci/pci-device.ts'
import type { IoctlArgument, Process } from '../../process.ts'
import type { InterruptVectors } from '../interrupt-vectors.ts'
import { sizedBuffer, type UserBuffer, userBuffer } from '../user-buffer.ts'
import { IRQ } from '../vfio-abi.ts'
import {
  availableVectors,
  enableMsi,
  enableMsix,
  type MessageInterrupts,
  vectorCount,
} from './message-interrupts.ts'
import { PinInterrupt } from './pin-interrupt.ts'

const DATA = { none: 1, bool: 2, eventfd: 4, mask: 7 } as const
const ACTION = { mask: 0x08, unmask: 0x10, trigger: 0x20, all: 0x38 } as const
const SET_BYTES = 20
const INFO_BYTES = 16
const INFO = { eventfd: 1, maskable: 2, automasked: 4, noResize: 8 } as const

/** A request that passed vfio_set_irqs_validate_and_prepare(). */
interface SetRequest {
  readonly index: number
  readonly start: number
  readonly count: number
  readonly data: number
  readonly action: number
  readonly buffer: UserBuffer
}

export interface InterruptSettingsInit {
  readonly context: KernelContext
  readonly device: PciDevice
  readonly unit: IommuUnit | undefined
  readonly vectors: InterruptVectors
  /** The user sees an interrupt pin. */
  readonly hasPin: () => boolean
  readonly masksPinItself: boolean
  /** The user set DisINTx. */
  readonly pinDisabled: () => boolean
}

export class InterruptSettings {
  readonly #init: InterruptSettingsInit
  #pin: PinInterrupt | null = null
  #messages: MessageInterrupts | null = null
  #messageIndex: number = IRQ.msi
  /** Messages that MSI was set up for last, as a power of two. */
  #maximum = 0
  readonly #triggers = new Map<number, EventCounter>()
  /** Of errors and of requests to let go. */
  #error: EventCounter | null = null
  #request: EventCounter | null = null

  constructor(init: InterruptSettingsInit) {
    this.#init = init
  }

  get pin(): PinInterrupt | null {
    return this.#pin
  }

  /** For the MSI capability that the user sees. */
  get messages(): { readonly enabled: boolean; readonly maximum: number } {
    const enabled = this.#messages !== null && this.#messageIndex === IRQ.msi
    return { enabled, maximum: this.#maximum }
  }

  get requestTrigger(): EventCounter | null {
    return this.#request
  }

  /** @throws Errno EFAULT, EINVAL */
  info(argument: IoctlArgument): void {
    const buffer = sizedBuffer(argument, INFO_BYTES)
    const index = buffer.u32(8)
    const { device } = this.#init
    if (index >= IRQ.count || (index === IRQ.error && device.pcieType === null)) {
      throw new Errno('EINVAL')
    }
    // Since 6.5 MSI-X vectors can be added one by one.
    const resizes = index === IRQ.msix && this.#addsVectors
    const flags =
      INFO.eventfd |
      (index === IRQ.intx ? INFO.maskable | INFO.automasked : resizes ? 0 : INFO.noResize)
    buffer.setU32(4, flags)
    buffer.setU32(12, this.#count(index))
  }

  /** @returns 0, or the number of vectors there could be when that is less than wanted */
  set(argument: IoctlArgument, process: Process): number {
    const request = this.#validate(userBuffer(argument))
    const { version } = this.#init.context
    switch (request.index) {
      case IRQ.intx:
        this.#setPin(request, process)
        return 0
      case IRQ.msi:
      case IRQ.msix:
        if (request.action !== ACTION.trigger) throw new Errno('ENOTTY')
        return this.#setMessages(request, process)
      case IRQ.error:
        if (request.action !== ACTION.trigger || this.#init.device.pcieType === null) {
          throw new Errno('ENOTTY')
        }
        this.#error = setSingle(request, this.#error, process, version)
        return 0
      default:
        if (request.action !== ACTION.trigger) throw new Errno('ENOTTY')
        this.#request = setSingle(request, this.#request, process, version)
        return 0
    }
  }

  /** An uncorrectable error was reported (vfio_pci_core_aer_err_detected). */
  reportError(): void {
    this.#error?.signal()
  }

  /** Last close. */
  disable(): void {
    this.#disablePin()
    this.#disableMessages()
    this.#error = null
    this.#request = null
  }

  get #addsVectors(): boolean {
    const { context, device } = this.#init
    return atLeast(context.version, 6, 5) && vectorCount(device, true) > 0
  }

  #count(index: number): number {
    const { device, hasPin } = this.#init
    switch (index) {
      case IRQ.intx:
        return hasPin() ? 1 : 0
      case IRQ.msi:
        return vectorCount(device, false)
      case IRQ.msix:
        return vectorCount(device, true)
      case IRQ.error:
        return device.pcieType === null ? 0 : 1
      default:
        return 1
    }
  }

  #validate(buffer: UserBuffer): SetRequest {
    buffer.need(SET_BYTES)
    const flags = buffer.u32(4)
    const index = buffer.u32(8)
    const start = buffer.u32(12)
    const count = buffer.u32(16)
    const data = flags & DATA.mask
    if (buffer.u32(0) < SET_BYTES || index >= IRQ.count) throw new Errno('EINVAL')
    if (count >= 0xffffffff - start || (flags & ~(DATA.mask | ACTION.all)) !== 0) {
      throw new Errno('EINVAL')
    }
    const number = this.#count(index)
    if (start >= number || start + count > number) throw new Errno('EINVAL', 'no such interrupt')
    const size = data === DATA.none ? 0 : data === DATA.bool ? 1 : data === DATA.eventfd ? 4 : -1
    if (size < 0) throw new Errno('EINVAL', 'exactly one kind of data')
    if (buffer.u32(0) - SET_BYTES < count * size) throw new Errno('EINVAL', 'argsz is too small')
    buffer.need(SET_BYTES + count * size)
    return { index, start, count, data, action: flags & ACTION.all, buffer }
  }

  #setPin(request: SetRequest, process: Process): void {
    const { action, start, count, data } = request
    if (action === ACTION.trigger) {
      this.#setPinTrigger(request, process)
      return
    }
    if (action !== ACTION.mask && action !== ACTION.unmask) throw new Errno('ENOTTY')
    const pin = this.#pin
    if (pin === null || start !== 0 || count !== 1) throw new Errno('EINVAL')
    if (data === DATA.eventfd) {
      if (action === ACTION.mask) throw new Errno('ENOTTY', 'masking on events is not implemented')
      setUnmask(pin, request.buffer.s32(SET_BYTES), process)
      return
    }
    if (data === DATA.bool && request.buffer.u8(SET_BYTES) === 0) return
    if (action === ACTION.mask) pin.mask()
    else pin.unmask()
  }

  #setPinTrigger({ start, count, data, buffer }: SetRequest, process: Process): void {
    const pin = this.#pin
    if (pin !== null && count === 0 && data === DATA.none) {
      this.#disablePin()
      return
    }
    if (this.#messages !== null || start !== 0 || count !== 1) throw new Errno('EINVAL')
    if (data === DATA.eventfd) {
      const descriptor = buffer.s32(SET_BYTES)
      const trigger = descriptor >= 0 ? counterOf(process, descriptor) : null
      if (pin === null) this.#enablePin(trigger)
      else pin.setTrigger(trigger)
      return
    }
    if (pin === null) throw new Errno('EINVAL', 'INTx is not in use')
    if (data === DATA.none || buffer.u8(SET_BYTES) !== 0) pin.send()
  }

  #enablePin(trigger: EventCounter | null): void {
    const { vectors, device, masksPinItself, pinDisabled } = this.#init
    this.#pin = new PinInterrupt(vectors, device, masksPinItself, pinDisabled, trigger)
  }

  #disablePin(): void {
    this.#pin?.disable()
    this.#pin = null
  }

  #setMessages(request: SetRequest, process: Process): number {
    const { index, start, count, data, buffer } = request
    const inUse = this.#messages !== null && this.#messageIndex === index
    if (inUse && count === 0 && data === DATA.none) {
      this.#disableMessages()
      return 0
    }
    if (!inUse && (this.#pin !== null || this.#messages !== null)) throw new Errno('EINVAL')
    if (data === DATA.eventfd) {
      if (inUse) {
        this.#connectBlock(request, process)
        return 0
      }
      const available = this.#enableMessages(index, start + count)
      if (available > 0) return available
      try {
        this.#connectBlock(request, process)
      } catch (error) {
        this.#disableMessages()
        throw error
      }
      return 0
    }
    if (!inUse) throw new Errno('EINVAL')
    this.#checkBlock(request)
    for (let n = 0; n < count; n += 1) {
      if (data === DATA.none || buffer.u8(SET_BYTES + n) !== 0) {
        this.#triggers.get(start + n)?.signal()
      }
    }
    return 0
  }

  /** vfio_msi_enable() @returns 0, or how many vectors there are when they are too few */
  #enableMessages(index: number, wanted: number): number {
    const { device, unit, vectors } = this.#init
    if (wanted === 0) throw new Errno('ERANGE')
    if (!mayUseMessages(device)) throw new Errno('EINVAL', 'no message interrupts here')
    const msix = index === IRQ.msix
    const available = availableVectors(device, unit, msix, wanted)
    if (available < wanted) return available
    const enable = msix ? enableMsix : enableMsi
    this.#messages = enable(vectors, device, unit, wanted)
    this.#messageIndex = index
    if (!msix) this.#maximum = Math.ceil(Math.log2(wanted))
    return 0
  }

  /** vfio_msi_set_block(): all or none. */
  #connectBlock(request: SetRequest, process: Process): void {
    this.#checkBlock(request)
    const { start, count, buffer } = request
    let done = 0
    try {
      for (; done < count; done += 1) {
        this.#connect(start + done, buffer.s32(SET_BYTES + 4 * done), process)
      }
    } catch (error) {
      for (let n = 0; n <= done; n += 1) this.#disconnect(start + n)
      throw error
    }
  }

  /** Before vectors could be added, a block had to lie within those set up. */
  #checkBlock({ start, count }: SetRequest): void {
    const { version } = this.#init.context
    const known = this.#messages?.count ?? 0
    if (!atLeast(version, 6, 5) && (start >= known || start + count > known)) {
      throw new Errno('EINVAL')
    }
  }

  #connect(vector: number, descriptor: number, process: Process): void {
    this.#disconnect(vector)
    if (descriptor < 0) return
    const messages = this.#messages
    const added = this.#messageIndex === IRQ.msix && this.#addsVectors
    if (messages === null || (vector >= messages.count && !added)) throw new Errno('EINVAL')
    const trigger = counterOf(process, descriptor)
    messages.connect(vector, () => {
      trigger.signal()
    })
    this.#triggers.set(vector, trigger)
  }

  #disconnect(vector: number): void {
    if (!this.#triggers.delete(vector)) return
    this.#messages?.connect(vector, null)
  }

  #disableMessages(): void {
    this.#triggers.clear()
    this.#messages?.disable()
    this.#messages = null
  }
}

/** eventfd_ctx_fdget() @throws Errno EBADF, EINVAL when it is something else */
export function counterOf(process: Process, descriptor: number): EventCounter {
  const file = process.file(descriptor)
  if (!(file instanceof EventCounter)) throw new Errno('EINVAL', 'not an eventfd')
  return file
}

function setUnmask(pin: PinInterrupt, descriptor: number, process: Process): void {
  if (descriptor < 0) {
    pin.unmaskOn(null)
    return
  }
  const counter = counterOf(process, descriptor)
  if (pin.unmasksOnEvent) throw new Errno('EBUSY', 'there is an unmask event already')
  pin.unmaskOn(counter)
}

/** vfio_pci_set_ctx_trigger_single() @returns the counter from now on */
function setSingle(
  { start, count, data, buffer }: SetRequest,
  current: EventCounter | null,
  process: Process,
  version: KernelVersion,
): EventCounter | null {
  if (start !== 0 || count > 1) throw new Errno('EINVAL')
  if (data === DATA.none) {
    if (current === null) throw new Errno('EINVAL', 'there is no trigger')
    if (count === 0) return null
    current.signal()
    return current
  }
  if (count === 0) throw new Errno('EINVAL')
  if (data === DATA.bool) {
    if (buffer.u8(SET_BYTES) !== 0) current?.signal()
    return current
  }
  const descriptor = buffer.s32(SET_BYTES)
  if (descriptor === -1) return null
  if (descriptor >= 0) return counterOf(process, descriptor)
  // 6.1.192 takes other negative numbers for "as it is"; 6.12.117, where triggers are under RCU, does not.
  if (atLeast(version, 6, 12)) throw new Errno('EINVAL', 'no descriptor')
  return current
}
