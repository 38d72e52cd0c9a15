/**
 * One address space for the devices of one or more groups: what is mapped in it is all that they reach.
 *
 *     const context = await openContext(kernel, ['13', '14'])
 *     const memory = context.allocate(2 ** 20)
 *     const { iova } = context.map(memory)
 *     const device = await context.device('0000:01:00.0')
 *     ...
 *     await context.close()                      // everything is undone, in order
 *
 * Several groups share one VFIO container where the kernel lets them, and then one table: memory is mapped once for
 * all of them. Groups come and go while it is open; what is mapped is mapped for newcomers too.
 *
 * When the process ends, however it ends, the kernel closes the files, and with the last one of the container all
 * mappings go and the devices are reset.
 */
import { IsogroupError } from '../base/errors.ts'
import { IovaSpace } from '../isolation/context/iova-space.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import { type DmaDirection, Type1Container } from '../linux/vfio/type1-container.ts'
import { VfioDeviceFile } from '../linux/vfio/vfio-device.ts'
import { VfioGroupFile } from '../linux/vfio/vfio-group.ts'
import { Device } from './device.ts'
import { DmaMemory } from './dma-memory.ts'
import { mappingRefused } from './mapping-refused.ts'

export interface MapOptions {
  /** Where devices find it; a multiple of the page size. Absent: anywhere. */
  readonly iova?: number
  /** Absent: devices may read and write it. */
  readonly direction?: DmaDirection
}

/** Memory at an address of the devices. */
export interface Mapping {
  /** Address for devices, in bytes. */
  readonly iova: number
  /** Bytes. */
  readonly size: number
  readonly memory: DmaMemory
}

/** From here on what is mapped is worth larger pages of the IOMMU. */
const LARGE = 2 * 2 ** 20
const SMALLEST = 4096

/**
 * @param groups ids of groups, at least one, which this process may open and nobody else has open
 * @throws IsogroupError usage, not-found, permission, refused: which group, and what stands in the way
 */
export async function openContext(kernel: Kernel, groups: readonly string[]): Promise<Context> {
  const [first, ...others] = [...new Set(groups)]
  if (first === undefined) {
    throw new IsogroupError('usage', 'a context needs a group', 'isogroup ls lists them')
  }
  const context = await Context.withGroup(kernel, first)
  try {
    for (const group of others) await context.addGroup(group)
  } catch (cause) {
    await context.close()
    throw cause
  }
  return context
}

export class Context {
  readonly #kernel: Kernel
  readonly #container: Type1Container
  readonly #groups = new Map<string, VfioGroupFile>()
  readonly #devices = new Map<string, { readonly group: string; readonly device: Device }>()
  /** By IOVA. */
  readonly #mappings = new Map<number, Mapping>()
  #space = new IovaSpace([])
  #pageSize = SMALLEST
  #isClosed = false

  private constructor(kernel: Kernel, container: Type1Container) {
    this.#kernel = kernel
    this.#container = container
  }

  /** @throws IsogroupError as openContext */
  static async withGroup(kernel: Kernel, group: string): Promise<Context> {
    const context = new Context(kernel, await openContainer(kernel))
    try {
      await context.#enter(group)
      context.#begin()
    } catch (cause) {
      await context.close()
      throw cause
    }
    return context
  }

  /** Ids of its groups. */
  get groups(): readonly string[] {
    return [...this.#groups.keys()]
  }

  /** Everything that is mapped, by address. */
  get mappings(): readonly Mapping[] {
    return [...this.#mappings.values()].sort((a, b) => a.iova - b.iova)
  }

  /** The smallest piece that can be mapped, in bytes. */
  get pageSize(): number {
    return this.#pageSize
  }

  /**
   * One more group in the same address space: its devices reach at once what is mapped.
   * @throws IsogroupError not-found, permission, refused: why it cannot share this context; nothing changed then
   */
  async addGroup(group: string): Promise<void> {
    this.#checkOpen()
    if (this.#groups.has(group)) return
    await this.#enter(group)
  }

  /** Its devices are closed, and reach nothing any more. The last group goes with the context. */
  async removeGroup(group: string): Promise<void> {
    const file = this.#groups.get(group)
    if (file === undefined) return
    if (this.#groups.size === 1) {
      throw new IsogroupError(
        'usage',
        `group ${group} is the last one of its context`,
        'close the context instead',
      )
    }
    for (const [address, held] of this.#devices) {
      if (held.group !== group) continue
      await held.device.close()
      this.#devices.delete(address)
    }
    file.leave()
    this.#groups.delete(group)
    await file.close()
  }

  /**
   * Zeroed memory of whole pages, not mapped yet.
   * @param size bytes, above 0
   */
  allocate(size: number): DmaMemory {
    this.#checkOpen()
    if (!Number.isSafeInteger(size) || size <= 0) {
      throw new RangeError(`${String(size)} is no number of bytes to allocate`)
    }
    return new DmaMemory(this.#kernel.memory(size))
  }

  /**
   * Lets all devices of the context reach the memory.
   * @throws IsogroupError refused: a limit, with the command that raises it; no room; RangeError: not a multiple of a page
   */
  map(memory: DmaMemory, { iova, direction = 'both' }: MapOptions = {}): Mapping {
    this.#checkOpen()
    const { size } = memory
    const at = iova === undefined ? this.#place(size) : this.#placeAt(iova, size)
    try {
      this.#container.map(memory.address, at, size, direction)
    } catch (cause) {
      this.#space.release(at, size)
      if (!(cause instanceof KernelError)) throw cause
      throw mappingRefused(cause, size, this.#bytesMapped(), this.#container)
    }
    const mapping: Mapping = { iova: at, size, memory }
    this.#mappings.set(at, mapping)
    memory.noteMapped(1)
    return mapping
  }

  /** Devices do not reach it any more when this comes back. Of one that is not mapped: nothing happens. */
  unmap(mapping: Mapping): void {
    const { iova, size, memory } = mapping
    if (this.#mappings.get(iova) !== mapping) return
    this.#container.unmap(iova, size)
    this.#mappings.delete(iova)
    this.#space.release(iova, size)
    memory.noteMapped(-1)
  }

  /**
   * A device of one of the groups; opened once, and the same again after.
   * @throws IsogroupError not-found, refused
   */
  device(address: string): Device {
    this.#checkOpen()
    const known = this.#devices.get(address)
    if (known !== undefined) return known.device
    let refusal: unknown = new IsogroupError(
      'not-found',
      `${address} is in no group of the context`,
    )
    for (const [group, file] of this.#groups) {
      try {
        const device = new Device(this.#kernel, new VfioDeviceFile(address, file.device(address)))
        this.#devices.set(address, { group, device })
        return device
      } catch (cause) {
        if (!(cause instanceof IsogroupError)) throw cause
        refusal = cause
        if (cause.code !== 'not-found') break
      }
    }
    throw refusal
  }

  /** Devices, then mappings, then groups, then the container. Twice is once. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const { device } of this.#devices.values()) await device.close()
    this.#devices.clear()
    for (const mapping of this.mappings) this.unmap(mapping)
    for (const group of this.#groups.values()) await group.close()
    this.#groups.clear()
    await this.#container.close()
  }

  async #enter(group: string): Promise<void> {
    const file = await VfioGroupFile.open(this.#kernel, group)
    try {
      file.enter(this.#container.descriptor)
    } catch (cause) {
      await file.close()
      throw cause
    }
    this.#groups.set(group, file)
    if (this.#mappings.size > 0 || this.#groups.size > 1) this.#narrow()
  }

  #begin(): void {
    try {
      this.#container.setIommu()
    } catch (cause) {
      if (!(cause instanceof KernelError)) throw cause
      throw new IsogroupError(
        'refused',
        `the kernel gives no context for this group: ${cause.code}`,
        'isogroup doctor says what is missing',
        { cause },
      )
    }
    this.#narrow()
  }

  /** What is free, after a group came: all IOMMUs have to translate it. */
  #narrow(): void {
    const { ranges, pageSizes } = this.#container.info()
    this.#pageSize = pageSizes[0] ?? SMALLEST
    this.#space = new IovaSpace(ranges)
    for (const { iova, size } of this.#mappings.values()) this.#space.reserve(iova, size)
  }

  #place(size: number): number {
    const whole = this.#wholePages(size)
    const alignment = whole >= LARGE ? LARGE : this.#pageSize
    const place =
      this.#space.allocate(whole, alignment) ?? this.#space.allocate(whole, this.#pageSize)
    if (place !== null) return place
    throw new IsogroupError(
      'refused',
      `there are no ${String(size)} bytes of IOVA in one piece in this context`,
      'unmap what is not needed, or map smaller pieces',
    )
  }

  #placeAt(iova: number, size: number): number {
    if (iova % this.#pageSize !== 0) {
      throw new RangeError(
        `IOVA 0x${iova.toString(16)} is no multiple of ${String(this.#pageSize)}`,
      )
    }
    if (this.#space.reserve(iova, this.#wholePages(size))) return iova
    throw new IsogroupError(
      'refused',
      `IOVA 0x${iova.toString(16)} to 0x${(iova + size - 1).toString(16)} is not free: mapped, reserved, or beyond what the IOMMU translates`,
      'leave the address to the context, or look at its ranges',
    )
  }

  #wholePages(size: number): number {
    if (size % this.#pageSize !== 0) {
      throw new RangeError(`${String(size)} bytes are no multiple of ${String(this.#pageSize)}`)
    }
    return size
  }

  #bytesMapped(): number {
    return this.mappings.reduce((sum, { size }) => sum + size, 0)
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new IsogroupError('usage', 'the context is closed')
  }
}

async function openContainer(kernel: Kernel): Promise<Type1Container> {
  try {
    return await Type1Container.open(kernel)
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause
    throw new IsogroupError(
      cause.code === 'EACCES' ? 'permission' : 'not-found',
      `cannot open /dev/vfio/vfio: ${cause.code}`,
      'modprobe vfio-pci; isogroup doctor',
      { cause },
    )
  }
}
