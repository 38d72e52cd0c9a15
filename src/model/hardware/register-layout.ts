/**
 * What the power-on bytes of a function say about its registers: where its capabilities are, and which
 * bits software may change. Functions with equal bytes and base addresses have equal layouts, so the
 * thousands of equal devices of a large machine share one.
 */
import { capabilityList, extendedCapabilityList } from './capability-list.ts'
import type { Bar } from './function.ts'
import { type RegisterMask, registerMasks, virtualFunctionMasks } from './register-masks.ts'

export class RegisterLayout {
  readonly #view: DataView
  readonly #makeMasks: (view: DataView) => ReadonlyMap<number, RegisterMask>
  /** Made when first asked for, since most functions are only read. */
  #masks: ReadonlyMap<number, RegisterMask> | null = null
  #capabilities: ReadonlyMap<number, number> | null = null
  #extended: ReadonlyMap<number, number> | null = null

  /** @param bytes as at power-on; never changed from now on */
  constructor(bytes: Uint8Array, makeMasks: (view: DataView) => ReadonlyMap<number, RegisterMask>) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#makeMasks = makeMasks
  }

  /** By dword offset. */
  get masks(): ReadonlyMap<number, RegisterMask> {
    this.#masks ??= this.#makeMasks(this.#view)
    return this.#masks
  }

  /** Offset of the first capability with the id, or 0. */
  capability(id: number): number {
    this.#capabilities ??= capabilityList(this.#view)
    return this.#capabilities.get(id) ?? 0
  }

  /** Offset of the first extended capability with the id, or 0. */
  extendedCapability(id: number): number {
    this.#extended ??= extendedCapabilityList(this.#view)
    return this.#extended.get(id) ?? 0
  }
}

/** @param bytes as at power-on; never changed from now on */
export function registerLayout(
  bytes: Uint8Array,
  bars: readonly Bar[],
  virtualBars: readonly Bar[],
): RegisterLayout {
  return new RegisterLayout(bytes, (view) => registerMasks(view, bars, virtualBars))
}

/** @param bytes as at power-on; never changed from now on */
export function virtualFunctionLayout(bytes: Uint8Array): RegisterLayout {
  return new RegisterLayout(bytes, virtualFunctionMasks)
}
