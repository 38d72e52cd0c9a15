/**
 * The traced machine as the model boots it: registers, BAR sizes and IOMMU units as the guest itself shows
 * them, with what its kernel has switched on since power-on switched off again.
 */
import type { KernelView } from '../../src/kernel/kernel.ts'
import type {
  FunctionDescription,
  IommuDescription,
  MachineDescription,
} from '../../src/model/machine/description.ts'
import { extendedCapabilityOffset } from '../../src/pci/config-decode.ts'
import { EXTENDED_CAPABILITY } from '../../src/pci/config-facts.ts'

const DEVICES = '/sys/bus/pci/devices'
const UNITS = '/sys/class/iommu'
const MEMORY_BYTES = 1024 ** 3
const UNIT_FILES = ['address', 'cap', 'ecap', 'version', 'domains_supported']

/** QEMU deals them out (sriov_vi_flexible, lab/topology.ts); no file of the physical function tells. */
const VIRTUAL_VECTORS = 1

/** Behaviour by vendor and device id; everything else is a bridge or has none. */
const KINDS: Readonly<Record<string, string>> = {
  '0x1234 0x11e8': 'edu',
  '0x8086 0x10d3': 'nic',
  '0x1b36 0x0010': 'nvme',
}

/** @param kernel of a machine where no virtual function is enabled */
export function readTwin(kernel: KernelView, name: string): MachineDescription {
  const addresses = [...kernel.list(DEVICES)].sort()
  return {
    name,
    title: 'the machine of the traces',
    kernelRelease: kernel.text('/proc/sys/kernel/osrelease').trim(),
    commandLine: kernel.text('/proc/cmdline').trim(),
    cpu: { vendor: 'GenuineIntel', flags: [] },
    acpiTables: ['DMAR'],
    memoryBytes: MEMORY_BYTES,
    iommu: readIommu(kernel),
    firmwareHotPlug: true,
    functions: addresses.map((address) => readFunction(kernel, address)),
    hostedBuses: [],
    drivers: [],
    names: {},
  }
}

function readIommu(kernel: KernelView): IommuDescription {
  return {
    kind: 'intel',
    interruptRemapping: true,
    units: kernel.list(UNITS).map((name) => ({
      name,
      attributes: Object.fromEntries(
        UNIT_FILES.map((file) => {
          return [file, kernel.text(`${UNITS}/${name}/intel-iommu/${file}`).trim()]
        }),
      ),
      scope: null,
    })),
    defaultDomain: 'DMA-FQ',
    reserved: [],
  }
}

/** One function, also one that was plugged in for being read. */
export function readFunction(kernel: KernelView, address: string): FunctionDescription {
  const device = `${DEVICES}/${address}`
  const text = (file: string): string => kernel.text(`${device}/${file}`).trim()
  const config = switchedOff(kernel.read(`${device}/config`))
  const above = kernel.link(device).split('/').at(-2) ?? ''
  const isBridge = ((config[0x0e] ?? 0) & 0x7f) === 1
  return {
    at: address,
    parent: /^[0-9a-f]{4}:[0-9a-f]{2}:/.test(above) ? above : null,
    kind: isBridge ? 'bridge' : (KINDS[`${text('vendor')} ${text('device')}`] ?? 'generic'),
    config: Buffer.from(config).toString('hex'),
    bars: readBars(kernel, device, isBridge),
    ...(kernel.exists(`${device}/sriov_totalvfs`) ? { virtualVectors: VIRTUAL_VECTORS } : {}),
    // Its module is not loaded. Of a bridge it would mean that drivers said no, as they will again.
    ...(isBridge || kernel.exists(`${device}/driver`) ? {} : { driver: null }),
  }
}

const RESOURCE_IO = 0x100
const RESOURCE_PREFETCH = 0x2000
const RESOURCE_64 = 0x10_0000
const ROM = 6
/** The first of the six lines that describe the registers of virtual functions. */
const FIRST_VIRTUAL = 7
const LAST_VIRTUAL = 12

function readBars(
  kernel: KernelView,
  device: string,
  isBridge: boolean,
): FunctionDescription['bars'] {
  const lines = kernel.text(`${device}/resource`).trim().split('\n')
  const virtual = kernel.exists(`${device}/sriov_totalvfs`)
  return lines.flatMap((line, index) => {
    const [start = 0, end = 0, flags = 0] = line.split(' ').map(Number)
    const used = isBridge ? index < 2 : index <= (virtual ? LAST_VIRTUAL : ROM)
    if (!used || flags === 0) return []
    const total = index >= FIRST_VIRTUAL ? Number(kernel.text(`${device}/sriov_totalvfs`)) : 1
    const memory = (flags & RESOURCE_64) === 0 ? 'mem32' : 'mem64'
    const kind = index === ROM ? 'rom' : (flags & RESOURCE_IO) === 0 ? memory : 'io'
    const prefetchable = (flags & RESOURCE_PREFETCH) !== 0
    return [{ index, size: (end - start + 1) / total, kind, prefetchable } as const]
  })
}

const COMMAND = 0x04
const BUS_MASTER = 0x04
const INTX_DISABLE = 0x400
const CAPABILITIES = 0x34
const MSI = 0x05
const MSIX = 0x11

/** Bus mastering, message interrupts and virtual functions are what drivers switch on. */
function switchedOff(bytes: Uint8Array): Uint8Array {
  const config = Uint8Array.from(bytes)
  const view = new DataView(config.buffer)
  const clear = (offset: number, bits: number): void => {
    view.setUint16(offset, view.getUint16(offset, true) & ~bits, true)
  }
  clear(COMMAND, BUS_MASTER | INTX_DISABLE)
  let offset = view.getUint8(CAPABILITIES) & 0xfc
  for (let seen = 0; offset !== 0 && seen < 48; seen++) {
    const id = view.getUint8(offset)
    if (id === MSI) clear(offset + 2, 0x71)
    if (id === MSIX) clear(offset + 2, 0xc000)
    offset = view.getUint8(offset + 1) & 0xfc
  }
  const sriov = extendedCapabilityOffset(config, EXTENDED_CAPABILITY.sriov)
  if (sriov !== null) {
    clear(sriov + 0x08, 0x09)
    clear(sriov + 0x10, 0xffff)
  }
  return config
}
