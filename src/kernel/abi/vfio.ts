/**
 * The VFIO user API (include/uapi/linux/vfio.h): request numbers, bits and layouts. Numbers are
 * _IO(';', 100 + n) without a size, and they overlap: what 0x3b70 means depends on whether the
 * descriptor is a container or a device. Every structure begins with argsz, the caller's idea of its
 * size, and the kernel looks at no field beyond it.
 */
import type { Structure } from './structure.ts'

export const CONTAINER_REQUEST = {
  getApiVersion: 0x3b64,
  /** By value. */
  checkExtension: 0x3b65,
  /** By value. */
  setIommu: 0x3b66,
  getInfo: 0x3b70,
  mapDma: 0x3b71,
  unmapDma: 0x3b72,
  dirtyPages: 0x3b75,
} as const

export const GROUP_REQUEST = {
  getStatus: 0x3b67,
  /** Pointer to the container's descriptor, s32. */
  setContainer: 0x3b68,
  unsetContainer: 0x3b69,
  /** Pointer to a name with a zero byte: "0000:01:00.0". */
  getDeviceDescriptor: 0x3b6a,
} as const

export const DEVICE_REQUEST = {
  getInfo: 0x3b6b,
  getRegionInfo: 0x3b6c,
  getIrqInfo: 0x3b6d,
  setIrqs: 0x3b6e,
  reset: 0x3b6f,
  getHotResetInfo: 0x3b70,
  hotReset: 0x3b71,
  feature: 0x3b75,
} as const

/** What SET_IOMMU and CHECK_EXTENSION take. */
export const EXTENSION = { type1: 1, type1v2: 3, nesting: 6, noIommu: 8 } as const

export const MAP_FLAG = { read: 1, write: 2, vaddr: 4 } as const
export const UNMAP_FLAG = { getDirtyBitmap: 1, all: 2, vaddr: 4 } as const
export const DIRTY_FLAG = { start: 1, stop: 2, getBitmap: 4 } as const

export const IRQ_SET_FLAG = {
  dataNone: 1,
  dataBool: 2,
  dataEventfd: 4,
  actionMask: 8,
  actionUnmask: 0x10,
  actionTrigger: 0x20,
} as const

export const FEATURE_FLAG = { get: 0x1_0000, set: 0x2_0000, probe: 0x4_0000 } as const

export const GROUP_STATUS: Structure<'argsz' | 'flags'> = {
  bytes: 8,
  fields: { argsz: [0, 'u32'], flags: [4, 'u32'] },
}

export const TYPE1_INFO: Structure<'argsz' | 'flags' | 'pageSizes' | 'capOffset'> = {
  bytes: 24,
  fields: { argsz: [0, 'u32'], flags: [4, 'u32'], pageSizes: [8, 'u64'], capOffset: [16, 'u32'] },
}

export const DMA_MAP: Structure<'argsz' | 'flags' | 'vaddr' | 'iova' | 'size'> = {
  bytes: 32,
  fields: {
    argsz: [0, 'u32'],
    flags: [4, 'u32'],
    vaddr: [8, 'u64'],
    iova: [16, 'u64'],
    size: [24, 'u64'],
  },
}

export const DMA_UNMAP: Structure<'argsz' | 'flags' | 'iova' | 'size'> = {
  bytes: 24,
  fields: { argsz: [0, 'u32'], flags: [4, 'u32'], iova: [8, 'u64'], size: [16, 'u64'] },
}

export const DIRTY_BITMAP: Structure<'argsz' | 'flags'> = {
  bytes: 8,
  fields: { argsz: [0, 'u32'], flags: [4, 'u32'] },
}

export const DEVICE_INFO: Structure<'argsz' | 'flags' | 'regions' | 'irqs' | 'capOffset'> = {
  bytes: 24,
  fields: {
    argsz: [0, 'u32'],
    flags: [4, 'u32'],
    regions: [8, 'u32'],
    irqs: [12, 'u32'],
    capOffset: [16, 'u32'],
  },
}

export const REGION_INFO: Structure<'argsz' | 'flags' | 'index' | 'capOffset' | 'size' | 'offset'> =
  {
    bytes: 32,
    fields: {
      argsz: [0, 'u32'],
      flags: [4, 'u32'],
      index: [8, 'u32'],
      capOffset: [12, 'u32'],
      size: [16, 'u64'],
      offset: [24, 'u64'],
    },
  }

export const IRQ_INFO: Structure<'argsz' | 'flags' | 'index' | 'count'> = {
  bytes: 16,
  fields: { argsz: [0, 'u32'], flags: [4, 'u32'], index: [8, 'u32'], count: [12, 'u32'] },
}

/** Followed by one byte or one descriptor (s32) for each interrupt. */
export const IRQ_SET: Structure<'argsz' | 'flags' | 'index' | 'start' | 'count'> = {
  bytes: 20,
  fields: {
    argsz: [0, 'u32'],
    flags: [4, 'u32'],
    index: [8, 'u32'],
    start: [12, 'u32'],
    count: [16, 'u32'],
  },
}

/** Followed by 8 bytes for each device. */
export const HOT_RESET_INFO: Structure<'argsz' | 'flags' | 'count'> = {
  bytes: 12,
  fields: { argsz: [0, 'u32'], flags: [4, 'u32'], count: [8, 'u32'] },
}

/** Followed by one group descriptor (s32) each. */
export const HOT_RESET: Structure<'argsz' | 'flags' | 'count'> = {
  bytes: 12,
  fields: { argsz: [0, 'u32'], flags: [4, 'u32'], count: [8, 'u32'] },
}

/** Followed by the feature's own data. */
export const DEVICE_FEATURE: Structure<'argsz' | 'flags'> = {
  bytes: 8,
  fields: { argsz: [0, 'u32'], flags: [4, 'u32'] },
}
