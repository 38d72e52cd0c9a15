/**
 * BARs, ROM and configuration space as regions of the device file: DEVICE_GET_REGION_INFO, pread, pwrite
 * and mmap (vfio_pci_core.c, vfio_pci_rdwr.c). A region begins at its index times 2^40.
 */
import type { KernelContext } from '../../context.ts'
import { Errno } from '../../errno.ts'
import type { Bar } from '../../hardware/function.ts'
import { barOffset, readAddress } from '../../pci/base-address.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { IoctlArgument, MappedWindow } from '../../process.ts'
import { capabilityChain, placeChain } from '../capability-chain.ts'
import { sizedBuffer } from '../user-buffer.ts'
import { REGION, REGION_SPACING } from '../vfio-abi.ts'
import type { VirtualConfig } from './virtual-config.ts'

const INFO_BYTES = 32
const READ = 1
const WRITE = 2
const MMAP = 4
const CAPABILITIES = 8
const MSIX_MAPPABLE = 3
const MSIX = 0x11
const VF_BARS = 0x24
const PAGE = 4096
const ROM_SIGNATURE = 0xaa55

/** BARs that have an address, by index; others do not exist for a user. */
export function assignedBars(device: PciDevice): ReadonlyMap<number, Bar> {
  const bars = device.hardware.bars.filter((bar) => addressOfBar(device, bar) !== 0)
  return new Map(bars.map((bar) => [bar.index, bar]))
}

/** Those of virtual functions are laid out by the physical function's SR-IOV capability. */
function addressOfBar(device: PciDevice, bar: Bar): number {
  const { physicalFunction } = device
  if (physicalFunction === null) {
    return readAddress(device.hardware.config, barOffset(device, bar), bar)
  }
  const { config } = physicalFunction.hardware
  const at = config.extendedCapability(0x10) + VF_BARS + 4 * bar.index
  return readAddress(config, at, bar)
}

/** Where the MSI-X table is: users do not see it through pread and pwrite. */
interface Table {
  readonly bar: number
  readonly start: number
  readonly end: number
}

export class BarRegions {
  readonly bars: ReadonlyMap<number, Bar>
  readonly #context: KernelContext
  readonly #device: PciDevice
  readonly #config: VirtualConfig
  readonly #table: Table | null

  constructor(context: KernelContext, device: PciDevice, config: VirtualConfig) {
    this.#context = context
    this.#device = device
    this.#config = config
    this.bars = assignedBars(device)
    this.#table = tableOf(device)
  }

  /** @throws Errno EFAULT, EINVAL */
  info(argument: IoctlArgument): void {
    const buffer = sizedBuffer(argument, INFO_BYTES)
    const index = buffer.u32(8)
    const { size, flags } = this.#describe(index)
    let allFlags = flags
    if (index === this.#table?.bar && (flags & MMAP) !== 0) {
      allFlags |= CAPABILITIES
      const mappable = { id: MSIX_MAPPABLE, version: 1, data: new Uint8Array(0) }
      const chain = capabilityChain(this.#context.version, [mappable], INFO_BYTES)
      buffer.setU32(12, placeChain(buffer, chain, INFO_BYTES))
    }
    buffer.setU32(4, allFlags)
    buffer.setU64(16, [size % 2 ** 32, Math.floor(size / 2 ** 32)])
    // index << 40
    buffer.setU64(24, [0, index << 8])
  }

  /** @throws Errno EINVAL, EFAULT, EIO */
  read(offset: number, length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0)
    const { index, at } = split(offset)
    if (index === REGION.config) return this.#config.read(at, length)
    const count = this.#check(index, at, length)
    const bytes = new Uint8Array(count)
    this.#each(
      index,
      at,
      count,
      (done, size) => {
        let value = this.#device.hardware.readBar(index, at + done, size)
        for (let n = 0; n < size; n += 1, value >>>= 8) bytes[done + n] = value
      },
      (done) => {
        bytes[done] = 0xff
      },
    )
    return bytes
  }

  /** @throws Errno EINVAL, EFAULT, EIO */
  write(offset: number, bytes: Uint8Array): number {
    if (bytes.length === 0) return 0
    const { index, at } = split(offset)
    if (index === REGION.config) return this.#config.write(at, bytes)
    if (index === REGION.rom) throw new Errno('EINVAL', 'a ROM cannot be written')
    const count = this.#check(index, at, bytes.length)
    this.#each(index, at, count, (done, size) => {
      let value = 0
      for (let n = size - 1; n >= 0; n -= 1) value = value * 256 + (bytes[done + n] ?? 0)
      this.#device.hardware.writeBar(index, at + done, size, value)
    })
    return count
  }

  /**
   * mmap, shared.
   * @throws Errno EINVAL; ENODEV where the model has no plain memory behind the registers: then only pread
   *   and pwrite work, though Linux could map them
   */
  map(offset: number, length: number): MappedWindow {
    const { index, at } = split(offset)
    const bar = this.bars.get(index)
    if (bar === undefined || !this.#isMappable(bar)) throw new Errno('EINVAL', 'not a memory BAR')
    const pages = Math.ceil(bar.size / PAGE) * PAGE
    if (at % PAGE !== 0 || length <= 0 || at + Math.ceil(length / PAGE) * PAGE > pages) {
      throw new Errno('EINVAL', 'beyond the end of the BAR')
    }
    const memory = this.#device.hardware.memory(index)
    if (memory === null) throw new Errno('ENODEV', 'these registers have effects')
    return { bytes: memory.subarray(at, at + length) }
  }

  /** Whether the bytes lie in a BAR, and not in the MSI-X table. */
  allowsEvents(index: number, at: number, size: number): boolean {
    const bar = this.bars.get(index)
    if (bar === undefined || index === REGION.rom || at + size > bar.size) return false
    const table = this.#table
    return table?.bar !== index || at + size <= table.start || at >= table.end
  }

  #describe(index: number): { readonly size: number; readonly flags: number } {
    if (index === REGION.config) {
      return { size: this.#device.hardware.config.size, flags: READ | WRITE }
    }
    // Legacy VGA ranges are not modelled; kernels without them say the same.
    if (index >= REGION.vga) throw new Errno('EINVAL')
    if (index === REGION.rom) {
      const rom = this.bars.get(index)
      return rom !== undefined && this.#hasRom()
        ? { size: rom.size, flags: READ }
        : { size: 0, flags: 0 }
    }
    const bar = this.#device.hardware.bars.find((one) => one.index === index)
    // Whatever the kernel found no room for it takes for absent.
    if (bar === undefined || this.#device.forgottenBars.has(barOffset(this.#device, bar))) {
      return { size: 0, flags: 0 }
    }
    return { size: bar.size, flags: READ | WRITE | (this.#isMappable(bar) ? MMAP : 0) }
  }

  /** vfio_pci_probe_mmaps(): one smaller than a page must have the page to itself. */
  #isMappable(bar: Bar): boolean {
    if (bar.kind !== 'mem32' && bar.kind !== 'mem64') return false
    return bar.size >= PAGE || addressOfBar(this.#device, bar) % PAGE === 0
  }

  /** pci_map_rom(): a ROM begins with 55 AA. */
  #hasRom(): boolean {
    const { hardware, name } = this.#device
    const found = hardware.readBar(REGION.rom, 0, 2)
    if (found === ROM_SIGNATURE) return true
    const shown = found.toString(16).padStart(4, '0')
    const text = `vfio-pci ${name}: Invalid PCI ROM header signature: expecting 0xaa55, got 0x${shown}`
    this.#context.log.push(text)
    return false
  }

  /** @returns bytes that there are */
  #check(index: number, at: number, length: number): number {
    const bar = this.bars.get(index)
    if (bar === undefined || at >= bar.size) throw new Errno('EINVAL')
    if (index === REGION.rom && !this.#hasRom()) throw new Errno('ENOMEM')
    if (!this.#device.hardware.config.present) throw new Errno('EIO', 'the device is gone')
    if (bar.kind !== 'io' && !this.#memoryAnswers()) {
      throw new Errno('EIO', 'memory decoding is off, or the device sleeps')
    }
    return Math.min(length, bar.size - at)
  }

  #memoryAnswers(): boolean {
    const { powerState } = this.#device
    return powerState !== 'D3hot' && powerState !== 'D3cold' && this.#config.memoryEnabled
  }

  /** Naturally aligned accesses of at most 4 bytes; bytes of the MSI-X table are passed over. */
  #each(
    index: number,
    at: number,
    count: number,
    access: (done: number, size: 1 | 2 | 4) => void,
    skip: (done: number) => void = () => undefined,
  ): void {
    const table = this.#table?.bar === index ? this.#table : null
    for (let done = 0; done < count; ) {
      const here = at + done
      if (table !== null && here >= table.start && here < table.end) {
        skip(done)
        done += 1
        continue
      }
      const end =
        table !== null && here < table.start ? Math.min(at + count, table.start) : at + count
      const rest = end - here
      const size = rest >= 4 && here % 4 === 0 ? 4 : rest >= 2 && here % 2 === 0 ? 2 : 1
      access(done, size)
      done += size
    }
  }
}

function split(offset: number): { readonly index: number; readonly at: number } {
  const index = Math.floor(offset / REGION_SPACING)
  if (index < 0 || index >= REGION.vga) throw new Errno('EINVAL', 'no such region')
  return { index, at: offset % REGION_SPACING }
}

function tableOf({ hardware: { config } }: PciDevice): Table | null {
  const at = config.capability(MSIX)
  if (at === 0) return null
  const register = config.read(at + 4, 4)
  const start = (register & ~7) >>> 0
  const size = ((config.read(at + 2, 2) & 0x7ff) + 1) * 16
  return { bar: register & 7, start, end: start + size }
}
