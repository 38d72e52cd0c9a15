/**
 * Which atomic operations a device may send to memory: its own abilities, those of the root port, and
 * switches in between that pass them on (vfio_pci_info_atomic_cap, pci_enable_atomic_ops_to_root). A
 * graphics card in a virtual machine needs to know, since it sees other ports than there are.
 */
import { CAPABILITY, PCIE_TYPE } from '../../../pci/config-facts.ts'
import type { PciDevice } from '../../pci/pci-device.ts'

/** Completer bits of Device Capabilities 2: 32, 64 and 128 bits. */
const COMPLETERS = [0x080, 0x100, 0x200] as const
const ROUTING = 0x40
const EGRESS_BLOCKED = 0x80
const REQUESTER_ENABLE = 0x40
const CAPABILITIES_2 = 0x24
const CONTROL_2 = 0x28

const REQUESTERS: readonly (number | null)[] = [
  PCIE_TYPE.endpoint,
  PCIE_TYPE.legacyEndpoint,
  PCIE_TYPE.integratedEndpoint,
]

/**
 * Finds out, and lets the device send them.
 * @returns flags of the capability: 1 = 32 bits, 2 = 64, 4 = 128; 0 = no such capability
 */
export function enableAtomics(fn: PciDevice): number {
  const device = fn.physicalFunction ?? fn
  if (!REQUESTERS.includes(device.pcieType)) return 0
  const own = register(device, CAPABILITIES_2, 4)
  let flags = 0
  COMPLETERS.forEach((completer, index) => {
    if ((own & completer) !== 0 && reachesRoot(device, completer)) flags |= 1 << index
  })
  if (flags !== 0) {
    const { config } = device.hardware
    const at = config.capability(CAPABILITY.pciExpress) + CONTROL_2
    config.write(at, 2, config.read(at, 2) | REQUESTER_ENABLE)
  }
  return flags
}

function reachesRoot(device: PciDevice, completer: number): boolean {
  for (let bus = device.pciBus; bus.parent !== null; bus = bus.parent) {
    const { bridge } = bus
    if (bridge === null) continue
    const abilities = register(bridge, CAPABILITIES_2, 4)
    const { pcieType } = bridge
    const isUpstream = pcieType === PCIE_TYPE.upstreamPort
    if (isUpstream && (register(bridge, CONTROL_2, 2) & EGRESS_BLOCKED) !== 0) return false
    const isSwitch = isUpstream || pcieType === PCIE_TYPE.downstreamPort
    if (isSwitch && (abilities & ROUTING) === 0) return false
    if (pcieType === PCIE_TYPE.rootPort && (abilities & completer) === 0) return false
  }
  return true
}

/** 0 in the first version of the capability, which ends before these registers. */
function register({ hardware: { config } }: PciDevice, offset: number, size: 2 | 4): number {
  const at = config.capability(CAPABILITY.pciExpress)
  return at === 0 || (config.read(at + 2, 2) & 0xf) < 2 ? 0 : config.read(at + offset, size)
}
