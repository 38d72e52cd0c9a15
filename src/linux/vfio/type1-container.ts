/**
 * One address space for devices: a VFIO container with the type1 IOMMU (drivers/vfio/vfio_iommu_type1.c, version 2
 * of its interface).
 *
 *     open /dev/vfio/vfio --> add a group --> SET_IOMMU --> map, unmap, add and remove groups
 *
 * The kernel wants the first group before it can say what the IOMMU is like. Structures of mappings are made once
 * and filled in anew: mapping is what a user-space driver does most.
 */
import type { IovaRange } from '../../isolation/context/iova-space.ts'
import {
  CONTAINER_REQUEST,
  DMA_MAP,
  DMA_UNMAP,
  EXTENSION,
  MAP_FLAG,
  TYPE1_INFO,
} from '../../kernel/abi/vfio.ts'
import type { Handle, Kernel } from '../../kernel/kernel.ts'
import { askWithChain, capabilitiesIn, readU64 } from './capabilities.ts'

const CONTAINER_PATH = '/dev/vfio/vfio'

const CAPABILITY = { iovaRange: 1, dmaAvailable: 3 } as const
/** Bytes. */
const WORD = 4
/** Brings the upper half of a number down: exact, and storing it as a word cuts off the rest. */
const UPPER = 2 ** -32
const RANGES_AT = 16
const RANGE_BYTES = 16

export interface Type1Info {
  /** Sizes that the IOMMU can map, in bytes, the smallest first. */
  readonly pageSizes: readonly number[]
  /** What may be mapped: ranges that are translated, without reserved regions. */
  readonly ranges: readonly IovaRange[]
  /** How many more mappings the kernel allows; null: it does not say (before 5.10). */
  readonly mappingsLeft: number | null
}

/** What devices may do with mapped memory. */
export type DmaDirection = 'both' | 'to-device' | 'from-device'

const FLAGS: Readonly<Record<DmaDirection, number>> = {
  both: MAP_FLAG.read | MAP_FLAG.write,
  'to-device': MAP_FLAG.read,
  'from-device': MAP_FLAG.write,
}

export class Type1Container {
  readonly #handle: Handle
  readonly #map = new Uint32Array(DMA_MAP.bytes / WORD)
  readonly #mapDma: () => number
  readonly #unmap = new Uint32Array(DMA_UNMAP.bytes / WORD)
  readonly #unmapDma: () => number

  private constructor(handle: Handle) {
    this.#handle = handle
    this.#map[0] = DMA_MAP.bytes
    this.#unmap[0] = DMA_UNMAP.bytes
    const { mapDma, unmapDma } = CONTAINER_REQUEST
    this.#mapDma = handle.ioctlAgain(mapDma, new Uint8Array(this.#map.buffer))
    this.#unmapDma = handle.ioctlAgain(unmapDma, new Uint8Array(this.#unmap.buffer))
  }

  /** @throws KernelError ENOENT (vfio is not loaded), EACCES ... */
  static async open(kernel: Kernel): Promise<Type1Container> {
    return new Type1Container(await kernel.open(CONTAINER_PATH))
  }

  /** For VFIO_GROUP_SET_CONTAINER. */
  get descriptor(): number {
    return this.#handle.descriptor
  }

  /** When the first group is in it. @throws KernelError EPERM (interrupts are not isolated), ENODEV, EBUSY ... */
  setIommu(): void {
    this.#handle.ioctl(CONTAINER_REQUEST.setIommu, EXTENSION.type1v2)
  }

  /** @throws KernelError */
  info(): Type1Info {
    const answer = askWithChain(this.#handle, CONTAINER_REQUEST.getInfo, TYPE1_INFO.bytes)
    const view = new DataView(answer.buffer)
    const chain = capabilitiesIn(answer, view.getUint32(TYPE1_INFO.fields.capOffset[0], true))
    const at = (id: number): number | null => chain.find((one) => one.id === id)?.offset ?? null
    const available = at(CAPABILITY.dmaAvailable)
    return {
      pageSizes: pageSizesIn(view),
      ranges: rangesIn(view, at(CAPABILITY.iovaRange)),
      mappingsLeft: available === null ? null : view.getUint32(available + 8, true),
    }
  }

  /**
   * @param address of this process's memory, of whole pages @param iova where devices find it
   * @throws KernelError ENOMEM (RLIMIT_MEMLOCK), EEXIST, EINVAL, ENOSPC (dma_entry_limit) ...
   */
  map(address: number, iova: number, size: number, direction: DmaDirection): void {
    // argsz, flags, vaddr, iova, size. By word and place: half of the time of a DataView, for every mapping.
    const words = this.#map
    words[1] = FLAGS[direction]
    words[2] = address
    words[3] = address * UPPER
    words[4] = iova
    words[5] = iova * UPPER
    words[6] = size
    words[7] = size * UPPER
    this.#mapDma()
  }

  /** @returns how many bytes were unmapped: mappings are undone whole or not at all @throws KernelError */
  unmap(iova: number, size: number): number {
    // argsz, flags, iova, size
    const words = this.#unmap
    words[2] = iova
    words[3] = iova * UPPER
    words[4] = size
    words[5] = size * UPPER
    this.#unmapDma()
    return words[4] + words[5] / UPPER
  }

  /** What is still mapped goes with the last descriptor of the container. */
  close(): Promise<void> {
    return this.#handle.close()
  }
}

const BITS = 64

function pageSizesIn(view: DataView): readonly number[] {
  const [offset] = TYPE1_INFO.fields.pageSizes
  const sizes: number[] = []
  for (let bit = 0; bit < BITS; bit++) {
    const word = view.getUint32(offset + (bit >= 32 ? 4 : 0), true)
    if ((word >>> (bit % 32)) % 2 === 1 && bit < 53) sizes.push(2 ** bit)
  }
  return sizes
}

function rangesIn(view: DataView, at: number | null): readonly IovaRange[] {
  if (at === null) return []
  const count = view.getUint32(at + 8, true)
  return Array.from({ length: count }, (_, n) => {
    const offset = at + RANGES_AT + n * RANGE_BYTES
    return { start: readU64(view, offset), end: readU64(view, offset + 8) }
  })
}
