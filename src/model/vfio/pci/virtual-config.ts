/**
 * Configuration space as a user sees it (vfio_pci_config_rw of drivers/vfio/pci/vfio_pci_config.c). Some
 * bits are the device's, some live in a copy, and some writes make the kernel do something instead: power
 * states, resets, interrupt masking.
 */
import type { KernelVersion } from '../../../base/kernel-version.ts'
import { Errno } from '../../errno.ts'
import type { ConfigSpace } from '../../hardware/config-space.ts'
import type { Bar } from '../../hardware/function.ts'
import { type ConfigLayout, configLayout, permissionsAt, type Section } from './config-layout.ts'
import type { Permissions } from './config-permissions.ts'

const COMMAND = 0x04
const IO = 0x1
const MEMORY = 0x2
const INTX_DISABLE = 0x400
const BARS = 0x10
const ROM = 0x30
const PIN = 0x3d
/** Device Capabilities and Device Control of PCI Express. */
const HAS_FLR = 0x10000000
const INITIATE_FLR = 0x8000
const MAX_PAYLOAD = 0x00e0
const MAX_READ = 0x7000
const MAX_READ_4096 = 0x5000

/** What a write makes the kernel do. */
export interface ConfigEffects {
  /** The user's DisINTx bit changed. */
  setIntxDisabled(disabled: boolean): void
  setPowerState(state: 0 | 1 | 2 | 3): void
  /** A function level reset was asked for. */
  reset(): void
  log(text: string): void
  /** Whether MSI is in use, and the largest number of messages (log2) that it was set up for. */
  readonly messages: { readonly enabled: boolean; readonly maximum: number }
}

export interface VirtualConfigInit {
  readonly version: KernelVersion
  readonly config: ConfigSpace
  /** Ids as the kernel knows them: virtual functions show none. */
  readonly vendor: number
  readonly device: number
  readonly isVirtual: boolean
  readonly hasPin: boolean
  /** BARs that have an address. */
  readonly bars: readonly Bar[]
  readonly effects: ConfigEffects
}

export class VirtualConfig {
  readonly #init: VirtualConfigInit
  readonly #layout: ConfigLayout
  /** Values of BARs when the device was opened, by offset. */
  readonly #realBars: ReadonlyMap<number, number>
  #barsDirty = true
  #intxDisabled = false

  constructor(init: VirtualConfigInit) {
    this.#init = init
    this.#layout = configLayout(init.config, init.version)
    const { copy } = this.#layout
    const offsets = [...[0, 1, 2, 3, 4, 5].map((n) => BARS + 4 * n), ROM]
    this.#realBars = new Map(offsets.map((at) => [at, init.config.read(at, 4)]))
    if (init.isVirtual) {
      put(copy, 0, 2, init.vendor)
      put(copy, 2, 2, init.device)
      // Virtual functions have no memory enable bit: it is as if it were set.
      put(copy, COMMAND, 2, get(copy, COMMAND, 2) | MEMORY)
    }
    if (!init.hasPin) copy[PIN] = 0
  }

  /** The user's DisINTx. */
  get intxDisabled(): boolean {
    return this.#intxDisabled
  }

  /** Whether the user has interrupts by pin. */
  get hasPin(): boolean {
    return (this.#layout.copy[PIN] ?? 0) !== 0
  }

  /** Whether memory BARs answer, as far as the command register says that the user sees. */
  get memoryEnabled(): boolean {
    return this.#init.isVirtual || (get(this.#layout.copy, COMMAND, 2) & MEMORY) !== 0
  }

  /** @throws Errno EFAULT beyond the end */
  read(offset: number, length: number): Uint8Array {
    this.#checkRange(offset, length)
    const bytes = new Uint8Array(length)
    for (let done = 0; done < length; ) {
      const size = this.#chunk(offset + done, length - done)
      put(bytes, done, size, this.#readChunk(offset + done, size))
      done += size
    }
    return bytes
  }

  /** @throws Errno EFAULT beyond the end */
  write(offset: number, bytes: Uint8Array): number {
    this.#checkRange(offset, bytes.length)
    for (let done = 0; done < bytes.length; ) {
      const size = this.#chunk(offset + done, bytes.length - done)
      this.#writeChunk(offset + done, size, get(bytes, done, size))
      done += size
    }
    return bytes.length
  }

  #checkRange(offset: number, length: number): void {
    const { size } = this.#init.config
    if (offset >= size || offset + length > size) throw new Errno('EFAULT', 'beyond the end')
    if (!this.#init.config.present) throw new Errno('ENODEV', 'the device is gone')
  }

  /** Aligned pieces that lie in one capability. */
  #chunk(offset: number, rest: number): 1 | 2 | 4 {
    const section = this.#layout.section(offset)
    let length = 1
    while ((offset + length) % 4 !== 0 && this.#layout.section(offset + length) === section) {
      length += 1
    }
    const most = Math.min(length, rest)
    if (most >= 4 && offset % 4 === 0) return 4
    return most >= 2 && offset % 2 === 0 ? 2 : 1
  }

  #readChunk(offset: number, size: 1 | 2 | 4): number {
    const { config } = this.#init
    const section = this.#layout.section(offset)
    const allowed = permissionsAt(this.#layout, offset)
    if (allowed.read === 'raw' || section === undefined) return config.read(offset, size)
    if (allowed.read === 'direct') return this.#readDirect(offset, size, section)
    if (section.id === 0 && !section.extended && isBar(offset)) this.#fixBars()
    const value = this.#readTable(offset, size, offset - section.start, allowed)
    if (offset !== COMMAND || !this.#init.isVirtual) return value
    return value | (get(this.#layout.copy, COMMAND, 2) & MEMORY)
  }

  /** The device's value, with the chain as the copy has it. */
  #readDirect(offset: number, size: 1 | 2 | 4, { start, extended }: Section): number {
    const { copy } = this.#layout
    const value = this.#init.config.read(offset, size)
    const at = offset - start
    const virtual = extended ? (at < 4 ? size : 0) : at === 0 ? Math.min(size, 2) : at === 1 ? 1 : 0
    const mask = virtual === 4 ? 0xffffffff : 2 ** (8 * virtual) - 1
    // An id alone is the device's; it is never changed in the standard list.
    return ((value & ~mask) | (get(copy, offset, size) & mask)) >>> 0
  }

  #readTable(offset: number, size: 1 | 2 | 4, at: number, { virtual }: Permissions): number {
    const mask = get(virtual, at, size)
    const copied = get(this.#layout.copy, offset, size)
    return ((this.#init.config.read(offset, size) & ~mask) | (copied & mask)) >>> 0
  }

  #writeChunk(offset: number, size: 1 | 2 | 4, value: number): void {
    const section = this.#layout.section(offset)
    const allowed = permissionsAt(this.#layout, offset)
    if (allowed.write === 'none') return
    if (allowed.write === 'raw' || section === undefined) {
      this.#init.config.write(offset, size, value)
      return
    }
    const at = offset - section.start
    const store = (): void => {
      this.#writeTable(offset, size, at, value, allowed)
    }
    if (section.extended) store()
    else this.#writeSpecial(section, offset, size, value, store)
  }

  #writeTable(
    offset: number,
    size: 1 | 2 | 4,
    at: number,
    value: number,
    { virtual, writable }: Permissions,
  ): void {
    const { config } = this.#init
    const { copy } = this.#layout
    const write = get(writable, at, size)
    const toCopy = write & get(virtual, at, size)
    const toDevice = write & ~get(virtual, at, size)
    if (toCopy !== 0)
      put(copy, offset, size, (get(copy, offset, size) & ~toCopy) | (value & toCopy))
    if (toDevice !== 0) {
      config.write(
        offset,
        size,
        ((config.read(offset, size) & ~toDevice) | (value & toDevice)) >>> 0,
      )
    }
  }

  #writeSpecial(
    { id, start }: Section,
    offset: number,
    size: 1 | 2 | 4,
    value: number,
    store: () => void,
  ): void {
    const at = offset - start
    switch (id) {
      case 0:
        this.#writeHeader(offset, value, store)
        break
      case 0x01:
        store()
        if (at === 4) this.#init.effects.setPowerState((value & 3) as 0 | 1 | 2 | 3)
        break
      case 0x05:
        store()
        if (at <= 2 && at + size > 2) this.#afterMessageControl(start)
        break
      case 0x10:
        this.#writeExpress(start, store)
        break
      case 0x13:
        store()
        this.#afterAdvancedFeatures(start)
        break
      default:
        store()
    }
  }

  /** vfio_basic_config_write() */
  #writeHeader(offset: number, value: number, store: () => void): void {
    const { config, effects, isVirtual } = this.#init
    const { copy } = this.#layout
    if (offset === COMMAND) {
      const real = config.read(COMMAND, 2)
      const known = get(copy, COMMAND, 2)
      // The user thinks that it is on, and the device says no: somebody reset it.
      const lost = (bit: number): boolean => (value & known & ~real & bit) !== 0
      if ((lost(MEMORY) && !isVirtual) || lost(IO) || this.#barsLost()) this.#restoreBars()
    }
    store()
    if (offset === COMMAND) {
      const bits = IO | MEMORY
      put(copy, COMMAND, 2, (get(copy, COMMAND, 2) & ~bits) | (value & bits))
    }
    if (offset >= COMMAND && offset <= COMMAND + 1) {
      const disabled = (get(copy, COMMAND, 2) & INTX_DISABLE) !== 0
      if (disabled !== this.#intxDisabled) {
        this.#intxDisabled = disabled
        effects.setIntxDisabled(disabled)
      }
    }
    if (isBar(offset)) this.#barsDirty = true
  }

  /** The device gets no more messages than it was set up for, and none when MSI is not in use. */
  #afterMessageControl(start: number): void {
    const { config, effects } = this.#init
    const { copy } = this.#layout
    const { enabled, maximum } = effects.messages
    let control = get(copy, start + 2, 2)
    if (!enabled) control &= ~1
    if (((control >> 4) & 7) > maximum) control = (control & ~0x70) | (maximum << 4)
    put(copy, start + 2, 2, control)
    config.write(start + 2, 2, control)
  }

  #writeExpress(start: number, store: () => void): void {
    const { config, effects } = this.#init
    const { copy } = this.#layout
    const before = get(copy, start + 8, 2) & MAX_READ
    store()
    const control = get(copy, start + 8, 2)
    if ((control & INITIATE_FLR) !== 0) {
      put(copy, start + 8, 2, control & ~INITIATE_FLR)
      if ((config.read(start + 4, 4) & HAS_FLR) !== 0) effects.reset()
    }
    const wanted = control & MAX_READ
    if (wanted === before || wanted > MAX_READ_4096) return
    // Shorter reads than the payloads that the system agreed on would only be slow.
    const real = config.read(start + 8, 2)
    const floor = (real & MAX_PAYLOAD) << 7
    config.write(start + 8, 2, (real & ~MAX_READ) | Math.max(wanted, floor))
  }

  #afterAdvancedFeatures(start: number): void {
    const { config, effects } = this.#init
    const { copy } = this.#layout
    if (((copy[start + 4] ?? 0) & 1) === 0) return
    copy[start + 4] = (copy[start + 4] ?? 0) & ~1
    if ((config.read(start + 3, 1) & 3) === 3) effects.reset()
  }

  /** vfio_bar_fixup(): what a user wrote becomes what a device with these BARs would show. */
  #fixBars(): void {
    if (!this.#barsDirty) return
    this.#barsDirty = false
    const { copy } = this.#layout
    const byIndex = new Map(this.#init.bars.map((bar) => [bar.index, bar]))
    for (let index = 0; index < 6; index += 1) {
      const bar = byIndex.get(index)
      const at = BARS + 4 * index
      if (bar === undefined) {
        put(copy, at, 4, 0)
        continue
      }
      const low = get(copy, at, 4) & -Math.min(bar.size, 2 ** 31)
      put(copy, at, 4, bar.size > 2 ** 31 ? barFlags(bar) : low | barFlags(bar))
      if (bar.kind !== 'mem64') continue
      const high = bar.size > 2 ** 32 ? -(bar.size / 2 ** 32) : -1
      put(copy, at + 4, 4, get(copy, at + 4, 4) & high)
      index += 1
    }
    const rom = byIndex.get(6)
    put(copy, ROM, 4, rom === undefined ? 0 : get(copy, ROM, 4) & (-rom.size | 1))
  }

  /** vfio_need_bar_restore() */
  #barsLost(): boolean {
    for (const [offset, value] of this.#realBars) {
      if (offset !== ROM && value !== 0 && this.#init.config.read(offset, 4) !== value) return true
    }
    return false
  }

  /** vfio_bar_restore() */
  #restoreBars(): void {
    const { isVirtual, config, effects } = this.#init
    if (isVirtual) return
    effects.log('vfio_bar_restore: reset recovery - restoring BARs')
    for (const [offset, value] of this.#realBars) config.write(offset, 4, value)
  }
}

/** vfio_generate_bar_flags() */
function barFlags({ kind, prefetchable }: Bar): number {
  if (kind === 'io') return 1
  return (prefetchable ? 8 : 0) | (kind === 'mem64' ? 4 : 0)
}

function isBar(offset: number): boolean {
  return (offset >= BARS && offset < BARS + 24) || (offset >= ROM && offset < ROM + 4)
}

/** Little-endian value; bytes beyond the end are 0. */
function get(bytes: Uint8Array, offset: number, size: 1 | 2 | 4): number {
  let value = 0
  for (let n = size - 1; n >= 0; n -= 1) value = value * 256 + (bytes[offset + n] ?? 0)
  return value
}

function put(bytes: Uint8Array, offset: number, size: 1 | 2 | 4, value: number): void {
  for (let n = 0; n < size; n += 1) bytes[offset + n] = value >>> (8 * n)
}
