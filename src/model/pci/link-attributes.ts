/** Files about the link of a PCI Express function: max_link_speed and its kin. */
import { CAPABILITY } from '../../pci/config-facts.ts'
import type { Attribute } from '../driver-core/device.ts'
import type { PciDevice } from './pci-device.ts'

const SPEEDS: Readonly<Record<number, string>> = {
  1: '2.5 GT/s PCIe',
  2: '5.0 GT/s PCIe',
  3: '8.0 GT/s PCIe',
  4: '16.0 GT/s PCIe',
  5: '32.0 GT/s PCIe',
  6: '64.0 GT/s PCIe',
}
const LINK_CAPABILITIES = 0x0c
const LINK_STATUS = 0x12
const LINK_CAPABILITIES_2 = 0x2c
const VERSION = 0xf
/** PCIE_LNK_WIDTH_UNKNOWN */
const WIDTH_UNKNOWN = 0xff

export const linkAttributes: readonly Attribute<PciDevice>[] = [
  link('max_link_speed', maxSpeed),
  link('max_link_width', (device) => {
    const capabilities = register(device, LINK_CAPABILITIES, 4)
    return String(capabilities === 0 ? WIDTH_UNKNOWN : (capabilities >>> 4) & 0x3f)
  }),
  link('current_link_speed', (device) => speed(register(device, LINK_STATUS, 2) & 0xf)),
  link('current_link_width', (device) => String((register(device, LINK_STATUS, 2) >>> 4) & 0x3f)),
]

function link(name: string, show: (device: PciDevice) => string): Attribute<PciDevice> {
  return {
    name,
    mode: 0o444,
    visible: ({ pcieType }) => pcieType !== null,
    show: (device) => `${show(device)}\n`,
  }
}

/**
 * pcie_capability_read_dword() of drivers/pci/access.c: registers that the function does not have read 0.
 * In version 1 of the capability the second set is missing, and something else lies there.
 */
function register({ hardware: { config } }: PciDevice, offset: number, size: 2 | 4): number {
  const capability = config.capability(CAPABILITY.pciExpress)
  const version = config.read(capability + 2, 2) & VERSION
  if (offset >= LINK_CAPABILITIES_2 && version < 2) return 0
  return config.read(capability + offset, size)
}

/** pcie_get_speed_cap(): the highest of the supported speeds, or before version 2 the first two. */
function maxSpeed(device: PciDevice): string {
  const supported = (register(device, LINK_CAPABILITIES_2, 4) >>> 1) & 0x3f
  if (supported !== 0) return speed(32 - Math.clz32(supported))
  return speed(register(device, LINK_CAPABILITIES, 4) & 0xf)
}

function speed(code: number): string {
  return SPEEDS[code] ?? 'Unknown'
}
