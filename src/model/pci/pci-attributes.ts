/**
 * Files of a function in sysfs: drivers/pci/pci-sysfs.c. One table for all functions; those that only
 * some have say so in `visible`.
 */
import { hex } from '../../pci/address.ts'
import type { Attribute } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import type { Credentials } from '../process.ts'
import type { Task } from '../task.ts'
import { rescanIfAsked } from './bus-attributes.ts'
import { removeLocked } from './hot-plug.ts'
import { parseUnsigned } from './kernel-numbers.ts'
import { linkAttributes } from './link-attributes.ts'
import type { PciDevice } from './pci-device.ts'
import { logDevice, type PciState } from './pci-state.ts'
import { disableDevice, enableDevice } from './power.ts'
import { resetAttributes } from './reset-attributes.ts'
import { resourceLines } from './resource-lines.ts'
import { modalias } from './setup-device.ts'
import { sriovAttributes } from './sriov-attributes.ts'

export type PciAttribute = Attribute<PciDevice>

/** All of them, for one kernel. */
export function pciAttributes(state: PciState): readonly PciAttribute[] {
  return [
    ...IDENTITY,
    ...STATE,
    ...BRIDGE,
    ...linkAttributes,
    ...RESOURCE_FILES,
    ...controlAttributes(state),
    ...resetAttributes(state),
    ...sriovAttributes(state),
  ]
}

function text(name: string, show: (device: PciDevice) => string): PciAttribute {
  return { name, mode: 0o444, show: (device) => `${show(device)}\n` }
}

const IDENTITY: readonly PciAttribute[] = [
  text('vendor', ({ vendor }) => `0x${hex(vendor, 4)}`),
  text('device', ({ device }) => `0x${hex(device, 4)}`),
  text('subsystem_vendor', ({ subsystemVendor }) => `0x${hex(subsystemVendor, 4)}`),
  text('subsystem_device', ({ subsystemDevice }) => `0x${hex(subsystemDevice, 4)}`),
  text('revision', ({ revision }) => `0x${hex(revision, 2)}`),
  text('class', ({ classCode }) => `0x${hex(classCode, 6)}`),
  text('modalias', modalias),
]

const VGA = 0x0300

const STATE: readonly PciAttribute[] = [
  text('irq', ({ hardware }) => String(hardware.config.read(0x3c, 1))),
  { name: 'resource', mode: 0o444, show: resourceLines },
  text('power_state', ({ powerState }) => powerState),
  text('ari_enabled', ({ pciBus }) => (pciBus.bridge?.ariForwarding === true ? '1' : '0')),
  text('dma_mask_bits', () => '32'),
  text('consistent_dma_mask_bits', () => '32'),
  {
    name: 'boot_vga',
    mode: 0o444,
    visible: ({ classCode }) => classCode >>> 8 === VGA,
    show: (device) => `${isBootDisplay(device) ? '1' : '0'}\n`,
  },
  {
    name: 'config',
    mode: 0o644,
    show: readConfig,
    store: writeConfig,
  },
]

/** The display that firmware used: the first one on its bus type. */
function isBootDisplay(device: PciDevice): boolean {
  for (const other of device.bus?.devices.values() ?? []) {
    if ('classCode' in other && typeof other.classCode === 'number') {
      if (other.classCode >>> 8 === VGA) return other === device
    }
  }
  return false
}

/** What anybody may read: the standard header (pci_read_config). */
const PUBLIC_BYTES = 64
const PUBLIC_CARDBUS_BYTES = 128

function readConfig(device: PciDevice, who: Credentials): Uint8Array {
  const { config } = device.hardware
  const whole = who.capabilities.has('CAP_SYS_ADMIN')
  const some = device.headerType === 2 ? PUBLIC_CARDBUS_BYTES : PUBLIC_BYTES
  const bytes = config.present ? config.snapshot() : new Uint8Array(config.size).fill(0xff)
  return whole ? bytes : bytes.slice(0, some)
}

/** A write begins at offset 0: this is a file of bytes, and the model's writes know no offset. */
// biome-ignore lint/correctness/useYield: a store is a task
function* writeConfig(device: PciDevice, bytes: Uint8Array): Task<void> {
  const { config } = device.hardware
  let offset = 0
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (; offset + 4 <= bytes.length; offset += 4) {
    config.write(offset, 4, view.getUint32(offset, true))
  }
  for (; offset < bytes.length; offset++) config.write(offset, 1, bytes[offset] ?? 0)
}

const BRIDGE: readonly PciAttribute[] = [
  { ...text('secondary_bus_number', (device) => busRegister(device, 0x19)), visible: isBridge },
  { ...text('subordinate_bus_number', (device) => busRegister(device, 0x1a)), visible: isBridge },
]

function isBridge({ headerType }: PciDevice): boolean {
  return headerType === 1 || headerType === 2
}

function busRegister({ hardware }: PciDevice, offset: number): string {
  return String(hardware.config.read(offset, 1))
}

/**
 * resource0 ... resource5: only to be mapped, and only by root; absent where there is no BAR, or none that
 * the kernel found room for.
 */
const RESOURCE_FILES: readonly PciAttribute[] = [0, 1, 2, 3, 4, 5].map((index) => ({
  name: `resource${String(index)}`,
  mode: 0o600,
  visible: (device) =>
    !device.isVirtual &&
    device.hardware.bars.some((bar) => bar.index === index && bar.size > 0) &&
    !device.forgottenBars.has(0x10 + 4 * index),
}))

/** Virtual functions come and go with sriov_numvfs alone (pci_dev_hp_attrs_are_visible). */
const isPhysical = ({ isVirtual }: PciDevice): boolean => !isVirtual

function controlAttributes(state: PciState): readonly PciAttribute[] {
  return [
    {
      name: 'remove',
      mode: 0o220,
      visible: isPhysical,
      *store(device, bytes): Task<void> {
        // The file removes itself first, so of two writers only one goes on.
        if (number(bytes) === 0 || device.removing) return
        device.removing = true
        yield* removeLocked(state, device)
      },
    },
    {
      name: 'rescan',
      mode: 0o220,
      visible: isPhysical,
      store: (device, bytes) => rescanIfAsked(state, () => [device.pciBus], bytes),
    },
    {
      name: 'enable',
      mode: 0o644,
      show: ({ enableCount }) => `${String(enableCount)}\n`,
      store: setEnabled,
    },
    {
      name: 'numa_node',
      mode: 0o644,
      show: ({ numaNode }) => `${String(numaNode)}\n`,
      store: (device, bytes, who) => setNumaNode(state, device, bytes, who),
    },
    {
      name: 'd3cold_allowed',
      mode: 0o644,
      show: ({ d3coldAllowed }) => `${d3coldAllowed ? '1' : '0'}\n`,
      // biome-ignore lint/correctness/useYield: a store is a task
      *store(device, bytes): Task<void> {
        device.d3coldAllowed = number(bytes) !== 0
      },
    },
    {
      name: 'broken_parity_status',
      mode: 0o644,
      show: ({ brokenParityStatus }) => `${brokenParityStatus ? '1' : '0'}\n`,
      // biome-ignore lint/correctness/useYield: a store is a task
      *store(device, bytes): Task<void> {
        device.brokenParityStatus = number(bytes) !== 0
      },
    },
    {
      name: 'msi_bus',
      mode: 0o644,
      show: ({ noMsi }) => `${noMsi ? '0' : '1'}\n`,
      // biome-ignore lint/correctness/useYield: a store is a task
      *store(device, bytes, who): Task<void> {
        const allowed = number(bytes) !== 0
        if (!who.capabilities.has('CAP_SYS_ADMIN')) throw new Errno('EPERM')
        device.noMsi = !allowed
        const what = device.subordinate === null ? 'device' : 'devices on this bus'
        const verb = allowed ? 'allowed' : 'disallowed'
        logDevice(state, device, `MSI/MSI-X ${verb} for future drivers of ${what}`)
      },
    },
  ]
}

/** @throws Errno EINVAL */
function number(bytes: Uint8Array): number {
  const value = parseUnsigned(bytes)
  if (value === null) throw new Errno('EINVAL', 'not a number')
  return value
}

/** enable_store(). @throws Errno EPERM, EINVAL, EBUSY (a driver has it), EIO (is not enabled) */
function* setEnabled(device: PciDevice, bytes: Uint8Array, who: Credentials): Task<void> {
  if (!who.capabilities.has('CAP_SYS_ADMIN')) throw new Errno('EPERM')
  const wanted = number(bytes) !== 0
  yield* device.lock.acquire()
  try {
    if (device.driver !== null) throw new Errno('EBUSY', `${device.name} has a driver`)
    if (wanted) enableDevice(device)
    else if (device.enableCount > 0) disableDevice(device)
    else throw new Errno('EIO', `${device.name} is not enabled`)
  } finally {
    device.lock.release()
  }
}

/** numa_node_store(). Node 0 is the only one there is. @throws Errno EPERM, EINVAL */
// biome-ignore lint/correctness/useYield: a store is a task
function* setNumaNode(
  state: PciState,
  device: PciDevice,
  bytes: Uint8Array,
  who: Credentials,
): Task<void> {
  if (!who.capabilities.has('CAP_SYS_ADMIN')) throw new Errno('EPERM')
  const none = /^-1\n?$/.test(String.fromCharCode(...bytes.subarray(0, 4)))
  const node = none ? -1 : number(bytes)
  if (node > 0) throw new Errno('EINVAL', `there is no node ${String(node)}`)
  const text = `[Firmware Bug]: Overriding NUMA node to ${String(node)}.  Contact your vendor for updates.`
  logDevice(state, device, text)
  device.numaNode = node
}
