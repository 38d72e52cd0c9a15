/**
 * Configuration space registers: bytes, which bits software may change, and what a change does.
 *
 * The bytes of a function at power-on say what it is; the masks of register-masks.ts, derived from the
 * same bytes, say what software may write. Everything that no mask names is read-only: capabilities
 * that the model does not know can be seen but not changed.
 *
 * Three kinds of writes have an effect of their own: a function level reset (Device Control bit 15, or
 * the Advanced Features control), and leaving D3hot without No_Soft_Reset, which is a reset too.
 * Everything else that reacts to registers (bridges, SR-IOV, devices) hooks itself in with `onWrite`.
 * Layouts: PCI Local Bus Specification 3.0 chapter 6, PCI Express Base Specification 7.5-7.9.
 */
import { CAPABILITY } from '../../pci/config-facts.ts'
import type { Bar, ResetKind } from './function.ts'
import { type RegisterLayout, registerLayout, virtualFunctionLayout } from './register-layout.ts'

export interface ConfigSpace {
  /** 256 or 4096. */
  readonly size: number
  /** False while the function is in no slot: reads give all ones, writes go nowhere. */
  present: boolean
  /** Little-endian value of 1, 2 or 4 bytes, zero-extended; all ones beyond the end. */
  read(offset: number, size: 1 | 2 | 4): number
  /** Only writable bits change; then hooks run (BAR sizing, FLR, SR-IOV enable, power state ...). */
  write(offset: number, size: 1 | 2 | 4, value: number): void
  /** What the hardware itself changes, status bits for example: no masks, no hooks. */
  poke(offset: number, size: 1 | 2 | 4, value: number): void
  /** The bytes as they stand; a copy. */
  snapshot(): Uint8Array
  /** Offset of the first capability with the id, or 0. */
  capability(id: number): number
  /** Offset of the first extended capability with the id, or 0. */
  extendedCapability(id: number): number
  /** Registers that a reset does not keep go back to their reset values; then the reset hooks run. */
  reset(kind?: ResetKind): void
  /** Called after a write that touched any of the bytes. */
  onWrite(offset: number, length: number, hook: () => void): void
  /** Called after a reset, whoever caused it. Slots let the function itself know this way. */
  onReset(hook: (kind: ResetKind) => void): void
}

/**
 * Registers of a function.
 *
 * @param bytes 256 or 4096, as at power-on; copied
 * @param bars decide which bits of the base address registers are writable
 * @param virtualBars base address registers of the virtual functions (SR-IOV capability)
 * @param layout of the same bytes and base addresses, where many functions share one
 */
export function configSpace(
  bytes: Uint8Array,
  bars: readonly Bar[],
  virtualBars: readonly Bar[] = [],
  layout: RegisterLayout = registerLayout(bytes.slice(), bars, virtualBars),
): ConfigSpace {
  return new Registers(bytes.slice(), layout)
}

/**
 * Registers of a virtual function: ids read as ffff, base addresses belong to the physical function's
 * SR-IOV capability, and of the command register only the bus master bit is there.
 */
export function virtualFunctionConfig(bytes: Uint8Array): ConfigSpace {
  const own = bytes.slice()
  own.fill(0xff, 0, 4)
  own.fill(0, 0x10, 0x28)
  return new Registers(own, virtualFunctionLayout(own.slice()))
}

interface WriteHook {
  readonly offset: number
  readonly end: number
  readonly run: () => void
}

class Registers implements ConfigSpace {
  readonly size: number
  present = true
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #layout: RegisterLayout
  #writeHooks: WriteHook[] | null = null
  #resetHooks: ((kind: ResetKind) => void)[] | null = null
  #resetting = false

  /** @param bytes a whole buffer, its own from now on */
  constructor(bytes: Uint8Array, layout: RegisterLayout) {
    this.size = bytes.length
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
    this.#layout = layout
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if (!this.present || offset < 0 || offset + size > this.size) return ALL_ONES[size]
    if (size === 1) return this.#bytes[offset] ?? 0xff
    if (size === 2) return this.#view.getUint16(offset, true)
    return this.#view.getUint32(offset, true)
  }

  write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (!this.present || offset < 0 || offset + size > this.size) return
    for (let done = 0; done < size; ) {
      const dword = (offset + done) & ~3
      const first = offset + done - dword
      const count = Math.min(size - done, 4 - first)
      const part = (value >>> (8 * done)) & (count === 4 ? -1 : (1 << (8 * count)) - 1)
      this.#writeDword(dword, part << (8 * first), byteMask(first, count))
      done += count
    }
    for (const hook of this.#writeHooks ?? []) {
      if (hook.offset < offset + size && offset < hook.end) hook.run()
    }
  }

  poke(offset: number, size: 1 | 2 | 4, value: number): void {
    if (size === 1) this.#view.setUint8(offset, value)
    else if (size === 2) this.#view.setUint16(offset, value, true)
    else this.#view.setUint32(offset, value >>> 0, true)
  }

  snapshot(): Uint8Array {
    return this.#bytes.slice()
  }

  capability(id: number): number {
    return this.#layout.capability(id)
  }

  extendedCapability(id: number): number {
    return this.#layout.extendedCapability(id)
  }

  reset(kind: ResetKind = 'bus'): void {
    // A device that resets its own registers when it hears of the reset is not told again.
    if (this.#resetting) return
    this.#resetting = true
    for (const [offset, mask] of this.#layout.masks) {
      const value = this.#view.getUint32(offset, true)
      const changing = (mask.writable | mask.clearable) & ~mask.sticky
      this.#view.setUint32(offset, ((value & ~changing) | (mask.reset & changing)) >>> 0, true)
    }
    for (const hook of this.#resetHooks ?? []) hook(kind)
    this.#resetting = false
  }

  onWrite(offset: number, length: number, hook: () => void): void {
    this.#writeHooks ??= []
    this.#writeHooks.push({ offset, end: offset + length, run: hook })
  }

  onReset(hook: (kind: ResetKind) => void): void {
    this.#resetHooks ??= []
    this.#resetHooks.push(hook)
  }

  /** @param touched the bits of the dword that the access covers */
  #writeDword(offset: number, written: number, touched: number): void {
    const mask = this.#layout.masks.get(offset)
    if (mask === undefined) return
    const old = this.#view.getUint32(offset, true)
    const writable = mask.writable & touched
    const cleared = mask.clearable & touched & written
    const value = ((old & ~writable) | (written & writable)) & ~cleared
    this.#view.setUint32(offset, value >>> 0, true)
    if ((written & touched & mask.resetTrigger) !== 0) this.reset('flr')
    else if (offset === this.#powerOffset()) this.#afterPowerWrite(offset, old, value)
  }

  /** Offset of the power management control register; -1 when there is none. */
  #powerOffset(): number {
    const capability = this.capability(POWER_MANAGEMENT)
    return capability === 0 ? -1 : capability + 4
  }

  #afterPowerWrite(offset: number, old: number, value: number): void {
    const from = old & POWER_STATE
    const to = value & POWER_STATE
    // A state that the function does not have is not entered (Power Management Specification 3.2.4).
    if (to !== 0 && to !== POWER_STATE && !this.#hasPowerState(to)) {
      this.#view.setUint32(offset, ((value & ~POWER_STATE) | from) >>> 0, true)
    } else if (from === POWER_STATE && to === 0 && (value & NO_SOFT_RESET) === 0) {
      this.reset('pm')
    }
  }

  #hasPowerState(state: number): boolean {
    const capabilities = this.read(this.capability(POWER_MANAGEMENT) + 2, 2)
    return (capabilities & (state === 1 ? D1_SUPPORT : D2_SUPPORT)) !== 0
  }
}

const ALL_ONES = { 1: 0xff, 2: 0xffff, 4: 0xffffffff } as const
const POWER_MANAGEMENT = 0x01
/** Power Management Control/Status bits 1:0 (3 = D3hot) and 3. */
const POWER_STATE = 0x3
const NO_SOFT_RESET = 0x8
const D1_SUPPORT = 1 << 9
const D2_SUPPORT = 1 << 10

function byteMask(first: number, count: number): number {
  return count === 4 ? -1 : ((1 << (8 * count)) - 1) << (8 * first)
}

/** Whether software put the function into a state in which it does no DMA: D1, D2 or D3hot. */
export function isPoweredDown(config: ConfigSpace): boolean {
  const offset = config.capability(POWER_MANAGEMENT)
  return offset !== 0 && (config.read(offset + 4, 1) & POWER_STATE) !== 0
}

/** Device and port type of the PCI Express capability; null for conventional functions. */
export function expressType(config: ConfigSpace): number | null {
  const offset = config.capability(CAPABILITY.pciExpress)
  return offset === 0 ? null : (config.read(offset + 2, 2) >> 4) & 0xf
}
