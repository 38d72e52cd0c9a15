/** Is a function a bridge? VFIO, resets and peer traffic all treat bridges differently. */
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { Node } from '../topology/topology.ts'

/** PCI-to-PCI, CardBus and semi-transparent bridges: the classes with a header type of their own. */
const BRIDGE_CLASSES: ReadonlySet<number> = new Set([0x0604, 0x0607, 0x0609])

const BRIDGE_TYPES: ReadonlySet<number> = new Set([
  PCIE_TYPE.rootPort,
  PCIE_TYPE.upstreamPort,
  PCIE_TYPE.downstreamPort,
  PCIE_TYPE.pcieToPciBridge,
  PCIE_TYPE.pciToPcieBridge,
])

/** Base class of all bridges. */
const BRIDGE_BASE_CLASS = 0x06

/**
 * By header type, which is what the kernel goes by; else by class, which it expects to agree
 * (pci_setup_device); else by PCI Express type. Host and ISA bridges have header type 0: devices.
 * Config space of functions whose base class is no bridge is not asked for: it would cost a read each.
 */
export function bridgeKind({ fn }: Node): 'bridge' | 'device' | 'unknown' {
  if (fn.classCode.known && fn.classCode.value >>> 16 !== BRIDGE_BASE_CLASS) return 'device'
  const { headerType, pcie } = fn.config
  if (headerType.known) return named(headerType.value !== 0)
  if (fn.classCode.known) return named(isBridgeClass(fn.classCode.value))
  if (pcie.known && pcie.value !== null) return named(BRIDGE_TYPES.has(pcie.value.type))
  return 'unknown'
}

function named(isBridge: boolean): 'bridge' | 'device' {
  return isBridge ? 'bridge' : 'device'
}

/** Whether a class code is one of a bridge between buses. @param classCode 24 bits: class, subclass, interface */
export function isBridgeClass(classCode: number): boolean {
  return BRIDGE_CLASSES.has(classCode >>> 8)
}
