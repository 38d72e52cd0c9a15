/**
 * Which interrupts are in use. What a user set up through VFIO is read where the hardware keeps it, in the
 * MSI or MSI-X registers and the vector table. A driver of the kernel that lets its device do DMA has one
 * message, of the best kind the device offers (pci_alloc_irq_vectors, drivers/pci/msi/api.c).
 *
 * Numbers are given out as on a PC: the lines of the I/O APIC first, from 24 on messages in the order of
 * the devices (arch/x86/kernel/apic/vector.c).
 */
import { atLeast, type KernelVersion } from '../../base/kernel-version.ts'
import type { IommuUnit } from '../iommu/unit.ts'
import type { IommuDescription } from '../machine/description.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import type { InterruptLine } from './interrupts.ts'

export interface InterruptSources {
  readonly version: KernelVersion
  readonly iommu: IommuDescription['kind'] | null
  readonly units: readonly IommuUnit[]
  /** In registration order. */
  readonly devices: Iterable<PciDevice>
}

const FIRST_MESSAGE = 24
const COMMAND = 0x04
const BUS_MASTER = 0x4
const MSI = 0x05
const MSIX = 0x11
const MSI_ENABLE = 0x0001
const MSIX_ENABLE = 0x8000
/** PCI 3.0, 6.8.2: entries of 16 bytes, mask bit 0 of the last dword. */
const ENTRY_BYTES = 16
const VECTOR_CONTROL = 12

export function interruptLines(sources: InterruptSources): readonly InterruptLine[] {
  const { units, iommu } = sources
  const remapped = units.some((unit) => unit.isolatesInterrupts)
  const lines: InterruptLine[] = iommu === 'power' ? [] : legacyLines(remapped)
  let number = FIRST_MESSAGE
  const add = (line: Omit<InterruptLine, 'number'>): void => {
    lines.push({ ...line, number })
    number += 1
  }
  if (iommu === 'intel') {
    units.forEach(({ name }, n) => {
      add({ chip: 'DMAR-MSI', hardwareNumber: n, flow: 'edge', actions: name })
    })
  }
  for (const device of sources.devices) {
    for (const line of messagesOf(device, remapped, sources)) add(line)
  }
  return lines
}

function legacyLines(remapped: boolean): InterruptLine[] {
  const chip = remapped ? 'IR-IO-APIC' : 'IO-APIC'
  return [
    { number: 0, chip, hardwareNumber: 2, flow: 'edge', actions: 'timer' },
    { number: 8, chip, hardwareNumber: 8, flow: 'edge', actions: 'rtc0' },
    { number: 9, chip, hardwareNumber: 9, flow: 'fasteoi', actions: 'acpi' },
  ]
}

type Message = Omit<InterruptLine, 'number'>

function messagesOf(
  device: PciDevice,
  remapped: boolean,
  { version, iommu }: InterruptSources,
): readonly Message[] {
  // An IOMMU that is a function of its own (AMD) sends its interrupt around itself.
  const isIommu = iommu === 'amd' && device.classCode >>> 8 === 0x0806
  if (isIommu) {
    const chip = chipName(device, 'MSI', false, version)
    return [{ chip, hardwareNumber: 0, flow: 'edge', actions: 'AMD-Vi' }]
  }
  const { vectors, kind } = vectorsOf(device)
  return vectors.map((vector) => ({
    chip: chipName(device, kind, remapped, version),
    hardwareNumber: hardwareNumber(device, vector, version),
    flow: 'edge',
    actions: actionName(device, kind, vector),
  }))
}

/** drivers/pci/msi/irqdomain.c; until 6.1 MSI and MSI-X had one chip for all devices. */
function chipName(
  device: PciDevice,
  kind: 'MSI' | 'MSIX',
  remapped: boolean,
  version: KernelVersion,
): string {
  const prefix = remapped ? 'IR-' : ''
  return atLeast(version, 6, 2) ? `${prefix}PCI-${kind}-${device.name}` : `${prefix}PCI-MSI`
}

/** pci_msi_domain_calc_hwirq: until 6.1 the requester id stood in it. */
function hardwareNumber({ at, devfn }: PciDevice, vector: number, version: KernelVersion): number {
  if (atLeast(version, 6, 2)) return vector
  return ((at.bus << 8) | devfn) * 0x800 + at.domain * 0x8000000 + vector
}

interface Vectors {
  readonly kind: 'MSI' | 'MSIX'
  readonly vectors: readonly number[]
}

function vectorsOf(device: PciDevice): Vectors {
  const { config } = device.hardware
  const msix = config.capability(MSIX)
  const msi = config.capability(MSI)
  if (msix !== 0 && (config.read(msix + 2, 2) & MSIX_ENABLE) !== 0) {
    return { kind: 'MSIX', vectors: unmasked(device, msix) }
  }
  if (msi !== 0 && (config.read(msi + 2, 2) & MSI_ENABLE) !== 0) {
    const count = 1 << ((config.read(msi + 2, 2) >> 4) & 7)
    return { kind: 'MSI', vectors: Array.from({ length: count }, (_, n) => n) }
  }
  const { driver } = device
  const inUse = driver !== null && !driver.isVfio && (config.read(COMMAND, 2) & BUS_MASTER) !== 0
  if (!inUse || (msix === 0 && msi === 0)) return { kind: 'MSI', vectors: [] }
  return { kind: msix === 0 ? 'MSI' : 'MSIX', vectors: [0] }
}

/** Entries of the vector table that are not masked. */
function unmasked({ hardware }: PciDevice, msix: number): readonly number[] {
  const { config } = hardware
  const table = config.read(msix + 4, 4)
  const size = (config.read(msix + 2, 2) & 0x7ff) + 1
  const at = (vector: number): number => (table & ~7) + vector * ENTRY_BYTES + VECTOR_CONTROL
  const vectors: number[] = []
  for (let vector = 0; vector < size; vector += 1) {
    if ((hardware.readBar(table & 7, at(vector), 4) & 1) === 0) vectors.push(vector)
  }
  return vectors
}

/** Names are the drivers' own; these follow what most of them do. */
function actionName(device: PciDevice, kind: Vectors['kind'], vector: number): string {
  const { driver, children, name } = device
  if (driver === null) return name
  if (driver.name === 'pcieport') return 'PCIe PME, aerdrv'
  if (driver.isVfio) return `vfio-${kind.toLowerCase()}[${String(vector)}](${name})`
  return [...children.values()].find((child) => child.className !== null)?.name ?? driver.name
}
