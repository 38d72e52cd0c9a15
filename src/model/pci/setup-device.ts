/**
 * What the kernel finds out about a function before it registers it: pci_setup_device, the header
 * fixups and pci_init_capabilities of drivers/pci/probe.c, in their order.
 */
import { atLeast } from '../../base/kernel-version.ts'
import { hex } from '../../pci/address.ts'
import { CAPABILITY, PCIE_TYPE } from '../../pci/config-facts.ts'
import { enableRuntimePower } from '../driver-core/runtime-power.ts'
import { expressType } from '../hardware/config-space.ts'
import { enableAcs } from './acs-enable.ts'
import { restoreState, saveState } from './config-state.ts'
import { addDmaAliases } from './dma-aliases.ts'
import type { PciDevice } from './pci-device.ts'
import { logDevice, type PciState } from './pci-state.ts'
import { setPowerState } from './power.ts'
import { initResetMethods } from './reset-methods.ts'
import { initSriov } from './sriov-capability.ts'

const POWER_MANAGEMENT = 0x01
const ARI = 0x0e
/** PCI Express capability: Device Capabilities 2 bit 5, Device Control 2 bit 5. */
const DEVICE_CAPABILITIES_2 = 0x24
const DEVICE_CONTROL_2 = 0x28
const ARI_FORWARDING = 0x20

export function setUpDevice(state: PciState, device: PciDevice): void {
  const { config } = device.hardware
  device.multifunction = !device.isVirtual && (config.read(0x0e, 1) & 0x80) !== 0
  device.pcieType = expressType(config)
  correctPortType(state, device)
  logFound(state, device)
  device.numaNode = state.options.numaNode?.(device.name) ?? -1
  device.ueventVariables = () => ueventVariables(device)
  addDmaAliases(state, device)
  device.realDmaDevice = hostOf(state, device)
  configureAri(device)
  initSriov(device)
  enableAcs(state, device)
  initResetMethods(state, device)
  device.resettable = device.resetMethods.length > 0
  initRuntimePower(state, device)
  device.matchable = false
}

/**
 * pci_pm_init() and the runtime operations of drivers/pci/pci-driver.c: awake and not allowed to sleep
 * until somebody writes "auto". Without a driver it stays in D0 even when it sleeps.
 */
function initRuntimePower(state: PciState, device: PciDevice): void {
  const { power } = device
  power.suspend = () => {
    if (device.driver === null || device.hardware.config.capability(POWER_MANAGEMENT) === 0) return
    saveState(device)
    setPowerState(device, 'D3hot')
  }
  power.wake = () => {
    if (device.powerState === 'D0') return
    const slept = device.powerState === 'D3hot'
    setPowerState(device, 'D0')
    if (slept) restoreState(state, device)
  }
  enableRuntimePower(power)
}

/** Ports that lead away from the root (pcie_downstream_port). */
export function facesDown(type: number | null): boolean {
  return (
    type === PCIE_TYPE.rootPort ||
    type === PCIE_TYPE.downstreamPort ||
    type === PCIE_TYPE.pciToPcieBridge
  )
}

/**
 * set_pcie_port_type(): two switch ports cannot both face down, or both up, one below the other; then
 * the kernel takes the lower one for the opposite. It clears the type bits of its copy of the register
 * and ORs the new type in without shifting it, so what comes out is type 0, an endpoint. Both kernels
 * have this bug, and grouping depends on it.
 */
function correctPortType(state: PciState, device: PciDevice): void {
  const parent = device.pciBus.bridge
  if (parent === null) return
  const { upstreamPort, downstreamPort, endpoint } = PCIE_TYPE
  if (device.pcieType === downstreamPort && facesDown(parent.pcieType)) {
    const text = 'claims to be downstream port but is acting as upstream port, correcting type'
    logDevice(state, device, text)
    device.pcieType = endpoint
  } else if (device.pcieType === upstreamPort && parent.pcieType === upstreamPort) {
    const text = 'claims to be upstream port but is acting as downstream port, correcting type'
    logDevice(state, device, text)
    device.pcieType = endpoint
  }
}

/** By port type (pci_type_str, 6.10). */
const TYPE_NAMES = [
  'PCIe Endpoint',
  'PCIe Legacy Endpoint',
  'PCIe unknown',
  'PCIe unknown',
  'PCIe Root Port',
  'PCIe Switch Upstream Port',
  'PCIe Switch Downstream Port',
  'PCIe to PCI/PCI-X bridge',
  'PCI/PCI-X to PCIe bridge',
  'PCIe Root Complex Integrated Endpoint',
  'PCIe Root Complex Event Collector',
]
const HEADER_NAMES = ['conventional PCI endpoint', 'conventional PCI bridge', 'CardBus bridge']

function logFound(state: PciState, device: PciDevice): void {
  const { vendor, device: id, headerType, classCode, pcieType } = device
  const what = `[${hex(vendor, 4)}:${hex(id, 4)}] type ${hex(headerType, 2)} class 0x${hex(classCode, 6)}`
  const name =
    pcieType === null
      ? (HEADER_NAMES[headerType] ?? 'conventional PCI')
      : (TYPE_NAMES[pcieType] ?? 'PCIe unknown')
  logDevice(state, device, atLeast(state.context.version, 6, 10) ? `${what} ${name}` : what)
}

/** The device whose id everything on its root bus uses (pci_real_dma_dev: Intel VMD). */
function hostOf(state: PciState, device: PciDevice): PciDevice | null {
  let bus = device.pciBus
  while (bus.parent !== null) bus = bus.parent
  const host = bus.hardware?.root?.host ?? null
  return host === null ? null : (state.byHardware.get(host) ?? null)
}

/** pci_configure_ari(): function 0 below a port that can, with the capability, switches it on. */
function configureAri(device: PciDevice): void {
  const bridge = device.pciBus.bridge
  if (device.pcieType === null || device.devfn !== 0 || bridge === null) return
  const { config } = bridge.hardware
  const express = config.capability(CAPABILITY.pciExpress)
  if (express === 0) return
  if ((config.read(express + DEVICE_CAPABILITIES_2, 4) & ARI_FORWARDING) === 0) return
  const enabled = device.hardware.config.extendedCapability(ARI) !== 0
  const control = config.read(express + DEVICE_CONTROL_2, 2)
  const wanted = enabled ? control | ARI_FORWARDING : control & ~ARI_FORWARDING
  config.write(express + DEVICE_CONTROL_2, 2, wanted)
  bridge.ariForwarding = enabled
}

/** MODALIAS and the `modalias` file. */
export function modalias(device: PciDevice): string {
  const { classCode } = device
  const upper = (value: number, digits: number): string => hex(value, digits).toUpperCase()
  const ids = `v${upper(device.vendor, 8)}d${upper(device.device, 8)}`
  const subsystem = `sv${upper(device.subsystemVendor, 8)}sd${upper(device.subsystemDevice, 8)}`
  const base = upper(classCode >>> 16, 2)
  const sub = upper((classCode >>> 8) & 0xff, 2)
  return `pci:${ids}${subsystem}bc${base}sc${sub}i${upper(classCode & 0xff, 2)}`
}

/** pci_uevent() of drivers/pci/pci-driver.c */
function ueventVariables(device: PciDevice): readonly (readonly [string, string])[] {
  const upper = (value: number): string => hex(value, 4).toUpperCase()
  return [
    ['PCI_CLASS', upper(device.classCode)],
    ['PCI_ID', `${upper(device.vendor)}:${upper(device.device)}`],
    ['PCI_SUBSYS_ID', `${upper(device.subsystemVendor)}:${upper(device.subsystemDevice)}`],
    ['PCI_SLOT_NAME', device.name],
    ['MODALIAS', modalias(device)],
  ]
}
