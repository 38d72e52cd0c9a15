/** The SR-IOV capability of a physical function: sriov_init and routing ids of drivers/pci/iov.c. */
import { EXTENDED_CAPABILITY } from '../../pci/config-facts.ts'
import type { PciDevice, SriovState } from './pci-device.ts'

/** Register offsets in the capability. */
export const SRIOV = {
  capabilities: 0x04,
  control: 0x08,
  initialVfs: 0x0c,
  totalVfs: 0x0e,
  numVfs: 0x10,
  link: 0x12,
  offset: 0x14,
  stride: 0x16,
  vfDevice: 0x1a,
} as const

const VF_ENABLE = 0x01
const VF_MEMORY = 0x08
const ARI_HIERARCHY = 0x10
export const VFS_ON: number = VF_ENABLE | VF_MEMORY

/**
 * Takes note of the capability and switches virtual functions off that firmware left on. A capability
 * without virtual functions, or whose ids would collide, is as good as none.
 */
export function initSriov(device: PciDevice): void {
  if (device.isVirtual || device.pcieType === null) return
  const { config } = device.hardware
  const capability = config.extendedCapability(EXTENDED_CAPABILITY.sriov)
  if (capability === 0) return
  const control = config.read(capability + SRIOV.control, 2)
  const ari = device.pciBus.bridge?.ariForwarding === true ? ARI_HIERARCHY : 0
  config.write(capability + SRIOV.control, 2, (control & ~(VFS_ON | ARI_HIERARCHY)) | ari)
  const totalVfs = config.read(capability + SRIOV.totalVfs, 2)
  config.write(capability + SRIOV.numVfs, 2, 0)
  const { offset, stride } = vfNumbers(device, capability)
  if (totalVfs === 0 || offset === 0 || (totalVfs > 1 && stride === 0)) return
  device.sriov = {
    capability,
    totalVfs,
    vfDevice: config.read(capability + SRIOV.vfDevice, 2),
    numVfs: 0,
    autoprobe: true,
  }
}

/** First VF Offset and VF Stride; hardware may make them depend on NumVFs. */
export function vfNumbers(
  { hardware: { config } }: PciDevice,
  capability: number,
): { readonly offset: number; readonly stride: number } {
  return {
    offset: config.read(capability + SRIOV.offset, 2),
    stride: config.read(capability + SRIOV.stride, 2),
  }
}

/** Bus and devfn of a virtual function; the bus may lie above the physical function's. */
export function vfPlace(
  device: PciDevice,
  { capability }: SriovState,
  index: number,
): { readonly bus: number; readonly devfn: number } {
  const { offset, stride } = vfNumbers(device, capability)
  const id = device.devfn + offset + stride * index
  return { bus: device.pciBus.number + (id >> 8), devfn: id & 0xff }
}
