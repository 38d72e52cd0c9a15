/**
 * Functions whose resets are known to be special or broken: pci_dev_reset_methods and the fixups that
 * set PCI_DEV_FLAGS_NO_{BUS,PM,FLR}_RESET in drivers/pci/quirks.c.
 */
import type { PciDevice } from './pci-device.ts'

type ResetFlag = 'no-bus' | 'no-pm' | 'no-flr'

const NO_BUS_RESET = [
  // Atheros wireless, Cavium, Texas Instruments DSPs: the link does not come back.
  0x168c_0030, 0x168c_0032, 0x168c_003c, 0x168c_0033, 0x168c_0034, 0x168c_003e, 0x177d_a100,
  0x104c_b005, 0x104c_b006,
]
const NO_FLR = [
  // AMD Starship and Matisse audio, USB and NVMe; Intel 82579; MediaTek.
  0x1022_1487, 0x1022_148c, 0x1022_149c, 0x1022_7901, 0x8086_1502, 0x8086_1503, 0x14c3_0616,
]
const AMD_GRAPHICS = 0x1002
const NVIDIA = 0x10de
const VGA = 0x0300
const NVME = 0x010802

export function hasResetFlag(device: PciDevice, flag: ResetFlag): boolean {
  const { vendor, device: id } = device
  const key = vendor * 0x1_0000 + id
  switch (flag) {
    case 'no-bus':
      return NO_BUS_RESET.includes(key) || (vendor === NVIDIA && (id & 0xffc0) === 0x2340)
    case 'no-pm':
      // Graphics claim to reset in D3hot, and only do so where they are part of the root complex.
      return (
        vendor === AMD_GRAPHICS && device.classCode >>> 8 === VGA && device.pciBus.bridge !== null
      )
    case 'no-flr':
      return NO_FLR.includes(key)
  }
}

/** Functions whose own method ends in a function level reset, and those that have one of their own. */
const BY_FLR = [0x8086_0953, 0x8086_0a54, 0x025e_f1ac]
const SAMSUNG_NVME = 0x144d_a804
const OWN = [0x8086_10ed, 0x8086_0156, 0x8086_0166, 0x19e5_375e]
const CHELSIO = 0x1425

/**
 * What the function's own method does in the model: a function level reset by its registers, or one that
 * the driver of the day performs by device registers; null when it has none.
 */
export function specificReset(device: PciDevice, hasFlr: boolean): 'flr' | 'registers' | null {
  const key = device.vendor * 0x1_0000 + device.device
  if (BY_FLR.includes(key)) return hasFlr ? 'flr' : null
  if (key === SAMSUNG_NVME) return hasFlr && device.classCode === NVME ? 'flr' : null
  if (OWN.includes(key)) return 'registers'
  if (device.vendor === CHELSIO && (device.device & 0xf000) === 0x4000) return 'registers'
  return null
}
