/**
 * Numbers of include/uapi/linux/vfio.h. Requests are _IO(';', n): 0x3B00 | n, without direction and size.
 * Container and device files use some numbers for different things; the file decides.
 */

export const REQUEST = {
  getApiVersion: 0x3b64,
  checkExtension: 0x3b65,
  setIommu: 0x3b66,
  groupGetStatus: 0x3b67,
  groupSetContainer: 0x3b68,
  groupUnsetContainer: 0x3b69,
  groupGetDeviceFd: 0x3b6a,
  deviceGetInfo: 0x3b6b,
  deviceGetRegionInfo: 0x3b6c,
  deviceGetIrqInfo: 0x3b6d,
  deviceSetIrqs: 0x3b6e,
  deviceReset: 0x3b6f,
  deviceGetHotResetInfo: 0x3b70,
  deviceHotReset: 0x3b71,
  deviceIoeventfd: 0x3b74,
  deviceFeature: 0x3b75,
  iommuGetInfo: 0x3b70,
  iommuMapDma: 0x3b71,
  iommuUnmapDma: 0x3b72,
  iommuDirtyPages: 0x3b75,
} as const

export const EXTENSION = {
  type1: 1,
  type1v2: 3,
  dmaCoherent: 4,
  type1Nesting: 6,
  unmapAll: 9,
  updateVaddr: 10,
} as const

export const GROUP_VIABLE = 1
export const GROUP_CONTAINER_SET = 2

/** Regions and interrupts of a PCI device. */
export const REGION = { rom: 6, config: 7, vga: 8, count: 9 } as const
export const IRQ = { intx: 0, msi: 1, msix: 2, error: 3, request: 4, count: 5 } as const

/** A region's file offset is its index times this. */
export const REGION_SPACING: number = 2 ** 40
