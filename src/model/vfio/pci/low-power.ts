/**
 * A device that sleeps while a user has it: features LOW_POWER_ENTRY (3), LOW_POWER_ENTRY_WITH_WAKEUP (4)
 * and LOW_POWER_EXIT (5) of DEVICE_FEATURE (vfio_pci_core.c). Opening the device took a reference that
 * keeps it awake; entry gives that up, and every call takes one for as long as it lasts.
 */
import type { Device } from '../../driver-core/device.ts'
import { resume, suspendIfIdle } from '../../driver-core/runtime-power.ts'
import { Errno } from '../../errno.ts'
import type { EventCounter } from '../../event-counter.ts'

export interface LowPowerHooks {
  /** Before it falls asleep: a pin that fires then would wake nobody. @returns whether it masked the pin */
  maskPin(): boolean
  unmaskPin(): void
}

export class LowPower {
  readonly #device: Device
  readonly #hooks: LowPowerHooks
  readonly #original: { readonly suspend: () => void; readonly wake: () => void }
  #engaged = false
  #wakeEvent: EventCounter | null = null
  #maskedPin = false

  /** From now on the driver hears of every suspend and resume of the device. */
  constructor(device: Device, hooks: LowPowerHooks) {
    this.#device = device
    this.#hooks = hooks
    const { power } = device
    const { suspend, wake } = power
    this.#original = { suspend, wake }
    power.suspend = () => {
      this.#maskedPin = hooks.maskPin()
      suspend()
    }
    power.wake = () => {
      wake()
      this.#awake()
    }
  }

  /** The driver leaves. */
  detach(): void {
    this.#device.power.suspend = this.#original.suspend
    this.#device.power.wake = this.#original.wake
  }

  /**
   * The device may sleep once the call is over.
   * @param wakeEvent rung when something else than a call of the user wakes it, or any; it stays awake then
   * @throws Errno EINVAL when it may sleep already
   */
  enter(wakeEvent: EventCounter | null): void {
    if (this.#engaged) throw new Errno('EINVAL', 'in low power already')
    this.#engaged = true
    this.#wakeEvent = wakeEvent
    this.#device.power.usageCount -= 1
  }

  exit(): void {
    if (!this.#engaged) return
    this.#engaged = false
    this.#wakeEvent = null
    this.#device.power.usageCount += 1
  }

  /** For the length of a call. */
  hold(): void {
    resume(this.#device.power)
  }

  letGo(): void {
    suspendIfIdle(this.#device.power)
  }

  /** vfio_pci_core_runtime_resume() */
  #awake(): void {
    if (this.#wakeEvent !== null) {
      this.#wakeEvent.signal()
      this.exit()
    }
    if (this.#maskedPin) this.#hooks.unmaskPin()
    this.#maskedPin = false
  }
}
