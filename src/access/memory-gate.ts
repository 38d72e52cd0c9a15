/**
 * Whether the registers of a device answer now. The kernel takes the windows of a device away while its memory space
 * is switched off, while it is in a low-power state, and while it is reset; touching one then ends the process
 * (SIGBUS, vfio_pci_mmap_fault). What switches them off goes through configuration space or through us, so
 * it is known before.
 */
import { IsogroupError } from '../base/errors.ts'
import type { RegionInfo, VfioDeviceFile } from '../linux/vfio/vfio-device.ts'

const COMMAND = 0x04
const MEMORY_SPACE = 0x02
const STATUS = 0x06
const HAS_CAPABILITIES = 0x10
const CAPABILITIES = 0x34
const POWER_MANAGEMENT = 0x01
const POWER_STATE = 0x03
/** Capabilities are words in 256 bytes: more steps are a loop. */
const STEPS_MAX = 48

export class MemoryGate {
  readonly #device: VfioDeviceFile
  readonly #config: RegionInfo
  /** Where power management is in configuration space; 0 = nowhere. */
  readonly #power: number
  readonly #listeners: (() => void)[] = []
  #isAsleep = false
  #why: string | null = null

  /** @throws KernelError */
  constructor(device: VfioDeviceFile, config: RegionInfo) {
    this.#device = device
    this.#config = config
    this.#power = this.#findPower()
    this.look()
  }

  /** Whether windows may be touched. */
  get isOpen(): boolean {
    return this.#why === null
  }

  /** Told whenever windows may not be touched any more: so that not every access has to ask. */
  whenShut(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Why the registers do not answer. */
  refusal(): IsogroupError {
    return new IsogroupError(
      'refused',
      `registers of ${this.#device.address} do not answer: ${this.#why ?? 'unknown'}`,
      'device.enable() switches memory space on; device.wake() ends the low-power state',
    )
  }

  /** Told by the device: low-power states on request do not show in configuration space. */
  set asleep(isAsleep: boolean) {
    this.#isAsleep = isAsleep
    this.look()
  }

  /** After configuration space was written to. */
  look(): void {
    this.#why = this.#reason()
    if (this.#why !== null) for (const shut of this.#listeners) shut()
  }

  #reason(): string | null {
    if (this.#isAsleep) return 'the device is in a low-power state'
    if ((this.#read16(COMMAND) & MEMORY_SPACE) === 0) {
      return 'memory space is switched off in the command register'
    }
    const state = this.#power === 0 ? 0 : this.#read16(this.#power + 4) & POWER_STATE
    return state === 0 ? null : `the device is in power state D${String(state)}`
  }

  #findPower(): number {
    if ((this.#read16(STATUS) & HAS_CAPABILITIES) === 0) return 0
    let at = this.#read16(CAPABILITIES) & 0xfc
    for (let step = 0; at !== 0 && step < STEPS_MAX; step++) {
      const header = this.#read16(at)
      if ((header & 0xff) === POWER_MANAGEMENT) return at
      at = (header >> 8) & 0xfc
    }
    return 0
  }

  #read16(offset: number): number {
    const [low = 0xff, high = 0xff] = this.#device.read(this.#config.offset + offset, 2)
    return low | (high << 8)
  }
}
