/**
 * One address space for the devices of one or more groups: what is mapped in it is all that they reach.
 *
 *     openContext --> device, allocate, map ... --> close: devices, mappings, groups, container
 *
 * Several groups share one VFIO container where the kernel lets them, and then one table: memory is mapped once for
 * all of them. Groups come and go while it is open; what is mapped is mapped for newcomers too.
 *
 * When the process ends, however it ends, the kernel closes the files, and with the last one of the container all
 * mappings go and the devices are reset.
 */
import { IsogroupError } from '../base/errors.ts'
import type { Fact } from '../base/fact.ts'
import type { IovaRange } from '../isolation/context/iova-space.ts'
import { type Kernel, KernelError, type PageKind } from '../kernel/kernel.ts'
import { groupRefused } from '../linux/vfio/group-refusal.ts'
import { type Memlock, readMemlock } from '../linux/vfio/memlock.ts'
import type { Type1Container } from '../linux/vfio/type1-container.ts'
import { VfioDeviceFile } from '../linux/vfio/vfio-device.ts'
import { VfioGroupFile } from '../linux/vfio/vfio-group.ts'
import { AddressSpace, type MapOptions, type Mappable, type Mapping } from './address-space.ts'
import { Device } from './device.ts'
import { DmaMemory } from './dma-memory.ts'
import { fullAddress, groupOf, isAddress } from './group-of.ts'
import { undoAll } from './undo.ts'

/** From so many bytes on memory is worth huge pages. */
const HUGE = 2 * 2 ** 20

export interface ContextOptions {
  /** All addresses for devices are below this one, in bytes: for devices with few address bits. Absent: no bound. */
  readonly below?: number
  /**
   * The host wants a device back, and waits: called before it is closed. What it waits for, the host waits for too.
   * Absent: the device is closed at once.
   */
  readonly onRemovalRequest?: (device: Device) => void | Promise<void>
}

/** What a mapping would lock, beside what may be locked. */
export interface LockEstimate extends Memlock {
  /** Bytes that it would lock. */
  readonly wanted: number
  /** Whether the limit allows it. */
  readonly fits: boolean
}

export class Context {
  readonly #kernel: Kernel
  readonly #container: Type1Container
  readonly #options: ContextOptions
  readonly #space: AddressSpace
  readonly #groups = new Map<string, VfioGroupFile>()
  readonly #devices = new Map<string, { readonly group: string; readonly device: Device }>()
  /** Of devices that could not be used. */
  readonly #closing: Promise<void>[] = []
  #isClosed = false

  /** Programs call `openContext`. */
  constructor(kernel: Kernel, container: Type1Container, options: ContextOptions) {
    this.#kernel = kernel
    this.#container = container
    this.#options = options
    this.#space = new AddressSpace(kernel, container, options.below ?? Infinity)
  }

  /** Ids of its groups. */
  get groups(): readonly string[] {
    return [...this.#groups.keys()]
  }

  /** Everything that is mapped, by address. */
  get mappings(): readonly Mapping[] {
    return this.#space.mappings
  }

  /** The smallest piece that can be mapped, in bytes. */
  get pageSize(): number {
    return this.#space.pageSize
  }

  /** Addresses that all IOMMUs of the context translate, without reserved regions; both ends included. */
  get ranges(): readonly IovaRange[] {
    return this.#space.ranges
  }

  /** How many more mappings the kernel allows (dma_entry_limit). Null: it does not say. @throws KernelError */
  get mappingsLeft(): number | null {
    this.#checkOpen()
    return this.#container.info().mappingsLeft
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * One more group in the same address space: its devices reach at once what is mapped.
   * @param group its id, or the address of a device in it
   * @throws IsogroupError not-found, permission, refused: why it cannot share this context; nothing changed then
   */
  async addGroup(group: string): Promise<void> {
    this.#checkOpen()
    const id = isAddress(group) ? groupOf(this.#kernel, group) : group
    if (this.#groups.has(id)) return
    const file = await VfioGroupFile.open(this.#kernel, id)
    try {
      file.enter(this.#container.descriptor, {
        groups: this.groups,
        mapped: this.mappings.map(({ iova, size }) => ({ start: iova, end: iova + size - 1 })),
      })
      if (this.#groups.size === 0) this.#begin(id)
      this.#space.look()
    } catch (cause) {
      await file.close()
      throw cause
    }
    this.#groups.set(id, file)
  }

  /**
   * Its devices are closed, and reach nothing any more. The last group goes with the context.
   * @param group its id, or the address of a device in it; one that is not in the context: nothing happens
   */
  async removeGroup(group: string): Promise<void> {
    this.#checkOpen()
    const id = isAddress(group) ? groupOf(this.#kernel, group) : group
    const file = this.#groups.get(id)
    if (file === undefined) return
    if (this.#groups.size === 1) {
      throw new IsogroupError(
        'usage',
        `group ${id} is the last one of its context`,
        'close the context instead',
      )
    }
    for (const [address, held] of this.#devices) {
      if (held.group !== id) continue
      await held.device.close()
      this.#devices.delete(address)
    }
    file.leave()
    this.#groups.delete(id)
    await file.close()
    this.#space.look()
  }

  /**
   * Zeroed memory of whole pages, not mapped yet.
   * @param size bytes, above 0
   * @param pages "huge": of 2 MiB each as far as the system gives some; absent: huge from 2 MiB on
   * @throws KernelError ENOMEM
   */
  allocate(size: number, pages?: PageKind): DmaMemory {
    this.#checkOpen()
    if (!Number.isSafeInteger(size) || size <= 0) {
      throw new RangeError(`${String(size)} is no number of bytes to allocate`)
    }
    return new DmaMemory(this.#kernel.memory(size, pages ?? (size >= HUGE ? 'huge' : 'small')))
  }

  /**
   * Lets all devices of the context reach memory: one, a part of one, or several one after the other.
   * @throws IsogroupError refused: a limit, with the command that raises it; no room. RangeError: not whole pages
   */
  map(what: Mappable, options: MapOptions = {}): Mapping {
    this.#checkOpen()
    return this.#space.map(what, options)
  }

  /** Devices do not reach it any more when this comes back. Of one that is not mapped: nothing happens. */
  unmap(mapping: Mapping): void {
    this.#space.unmap(mapping)
  }

  /** Whether so many bytes may be mapped, before it is tried. Unknown: the limits cannot be read. */
  estimate(size: number): Fact<LockEstimate> {
    const lock = readMemlock(this.#kernel)
    if (!lock.known) return lock
    const { limit, locked, exempt } = lock.value
    const fits = exempt || limit === null || locked + size <= limit
    return { known: true, value: { ...lock.value, wanted: size, fits } }
  }

  /**
   * A device of one of the groups; opened once, and the same again after.
   * @param address "0000:01:00.0" @throws IsogroupError not-found, refused
   */
  device(address: string): Device {
    this.#checkOpen()
    const full = fullAddress(address)
    const known = this.#devices.get(full)
    if (known !== undefined && !known.device.isClosed) return known.device
    const group = groupOf(this.#kernel, full)
    const file = this.#groups.get(group)
    if (file === undefined) {
      throw new IsogroupError(
        'not-found',
        `${full} is in group ${group}, which is not in the context (${this.groups.join(', ')})`,
        'context.addGroup() lets it in',
      )
    }
    const opened = new VfioDeviceFile(full, file.device(full))
    try {
      const device = this.#use(opened)
      this.#devices.set(full, { group, device })
      return device
    } catch (cause) {
      this.#closing.push(opened.close())
      throw cause
    }
  }

  /** Devices, then mappings, then groups, then the container. Twice is once. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await undoAll([
      ...[...this.#devices.values()].map(
        ({ device }) =>
          () =>
            device.close(),
      ),
      ...this.mappings.map((mapping) => () => {
        this.unmap(mapping)
      }),
      ...[...this.#groups.values()].map((group) => () => group.close()),
      () => this.#container.close(),
      ...this.#closing.map((ending) => () => ending),
    ])
  }

  /** `await using context = await openContext(...)` */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #use(file: VfioDeviceFile): Device {
    return new Device(file, {
      kernel: this.#kernel,
      groups: () => new Map([...this.#groups].map(([id, group]) => [id, group.descriptor])),
      onRemovalRequest: this.#options.onRemovalRequest ?? (() => undefined),
    })
  }

  /** The kernel makes the context when the first group is in the container. */
  #begin(group: string): void {
    try {
      this.#container.setIommu()
    } catch (cause) {
      if (!(cause instanceof KernelError)) throw cause
      throw groupRefused(this.#kernel, group, cause, { groups: [], mapped: [] })
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new IsogroupError('usage', 'the context is closed')
  }
}
