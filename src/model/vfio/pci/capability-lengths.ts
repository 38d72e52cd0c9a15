/**
 * How long each capability is, as VFIO needs it to know what every byte of configuration space belongs to
 * (pci_cap_length, pci_ext_cap_length and vfio_*_cap_len of drivers/vfio/pci/vfio_pci_config.c). Length 0
 * hides a capability from the user.
 */
import { PCIE_TYPE } from '../../../pci/config-facts.ts'
import type { ConfigSpace } from '../../hardware/config-space.ts'

type Length = number | ((config: ConfigSpace, at: number) => number)

/** By id; what is not here is hidden: bridge and chassis capabilities. */
const STANDARD: Readonly<Record<number, Length>> = {
  1: 8, // power management
  2: 12, // AGP
  3: 8, // vital product data
  5: messageLength,
  7: (config, at) => ((config.read(at + 2, 2) & 0x3000) !== 0 ? 24 : 8), // PCI-X
  8: (config, at) => ((config.read(at + 3, 1) & 0xe0) !== 0 ? 4 : 28), // HyperTransport
  9: (config, at) => config.read(at + 2, 1), // vendor specific
  0x10: expressLength,
  0x11: 12, // MSI-X
  0x12: (config, at) => ((config.read(at + 4, 1) & 0xf) === 0xf ? 16 : 8), // SATA
  0x13: 6, // advanced features
}

const EXTENDED: Readonly<Record<number, Length>> = {
  0x01: 44, // advanced error reporting
  0x02: virtualChannelLength,
  0x03: 12, // serial number
  0x04: 16, // power budgeting
  0x08: virtualChannelLength,
  0x09: virtualChannelLength,
  0x0b: (config, at) => config.read(at + 4, 4) >>> 20, // vendor specific
  0x0d: accessControlLength,
  0x0e: 8, // ARI
  0x0f: 8, // ATS
  0x10: 64, // SR-IOV
  0x12: 40, // multicast
  0x13: 16, // page requests
  0x15: (config, at) => 4 + (config.read(at + 8, 1) >> 5) * 8, // resizable BARs
  0x16: (config, at) => 16 + (config.read(at + 4, 1) & 0x1f) + 1, // dynamic power allocation
  0x17: hintsLength,
  0x18: 8, // latency tolerance
  0x23: (config, at) => config.read(at + 4, 4) >>> 20, // designated vendor specific
}

export function capabilityLength(config: ConfigSpace, id: number, at: number): number {
  return lengthOf(STANDARD[id], config, at)
}

export function extendedCapabilityLength(config: ConfigSpace, id: number, at: number): number {
  return lengthOf(EXTENDED[id], config, at)
}

function lengthOf(length: Length | undefined, config: ConfigSpace, at: number): number {
  return typeof length === 'function' ? length(config, at) : (length ?? 0)
}

/** MSI: wide addresses and mask bits make it longer. */
function messageLength(config: ConfigSpace, at: number): number {
  const control = config.read(at + 2, 2)
  return 10 + ((control & 0x80) !== 0 ? 4 : 0) + ((control & 0x100) !== 0 ? 10 : 0)
}

function expressLength(config: ConfigSpace, at: number): number {
  const flags = config.read(at + 2, 2)
  if ((flags & 0xf) !== 1) return 44
  return ((flags >> 4) & 0xf) === PCIE_TYPE.integratedEndpoint ? 12 : 20
}

function accessControlLength(config: ConfigSpace, at: number): number {
  if ((config.read(at + 4, 1) & 0x20) === 0) return 8
  const bits = config.read(at + 5, 1)
  return 8 + (bits === 0 ? 256 : Math.ceil(bits / 32) * 32) / 8
}

/** TLP processing hints, with the steering table when it is in the capability. */
function hintsLength(config: ConfigSpace, at: number): number {
  const requester = config.read(at + 4, 4)
  return (requester & 0x600) === 0x200 ? 12 + ((requester >> 16) & 0x7ff) * 2 + 2 : 12
}

function virtualChannelLength(config: ConfigSpace, at: number): number {
  const channels = 1 + (config.read(at + 4, 4) & 7)
  const phases = config.read(at + 8, 1)
  const arbitration =
    (phases & 0x08) !== 0 ? 128 : (phases & 0x04) !== 0 ? 64 : (phases & 0x02) !== 0 ? 32 : 0
  const length = 16 + channels * 12
  return arbitration === 0 ? length : Math.ceil(length / 16) * 16 + (arbitration * 4) / 8
}
