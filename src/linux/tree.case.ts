/** A small sysfs and proc tree on disk for tests: a VMD domain, a NIC with a virtual function, a disk. */
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface TreeFiles {
  readonly files: Readonly<Record<string, string | Uint8Array>>
  readonly links: Readonly<Record<string, string>>
}

/** Writes the tree to a new directory and returns its path. */
export function writeTree(tree: TreeFiles): string {
  const root = mkdtempSync(join(tmpdir(), 'isogroup-tree-'))
  for (const [path, content] of Object.entries(tree.files)) {
    mkdirSync(dirname(root + path), { recursive: true })
    writeFileSync(root + path, content)
  }
  for (const [path, target] of Object.entries(tree.links)) {
    mkdirSync(dirname(root + path), { recursive: true })
    symlinkSync(target, root + path)
  }
  return root
}

interface DeviceFiles {
  readonly at: string
  /** Path below /sys/devices, without the address. */
  readonly dir: string
  readonly uevent: string
  readonly config?: Uint8Array
  readonly more?: Readonly<Record<string, string>>
}

/** Config space with the given bytes; a PCI Express capability of the given type, ACS if wanted. */
function configBytes(options: {
  type?: number
  acs?: [number, number]
  header?: number
  buses?: [number, number, number]
  serial?: string
}): Uint8Array {
  const bytes = new Uint8Array(4096)
  const view = new DataView(bytes.buffer)
  view.setUint16(0x00, 0x8086, true)
  bytes[0x0e] = options.header ?? 0
  if (options.buses !== undefined) bytes.set(options.buses, 0x18)
  if (options.type !== undefined) {
    view.setUint16(0x06, 0x10, true)
    bytes[0x34] = 0x40
    view.setUint16(0x40, 0x0010, true)
    view.setUint16(0x42, (options.type << 4) | 2, true)
  }
  if (options.serial !== undefined) {
    view.setUint32(0x100, 0x14010003, true)
    view.setBigUint64(0x104, BigInt(`0x${options.serial}`), true)
  }
  if (options.acs !== undefined) {
    const at = options.serial === undefined ? 0x100 : 0x140
    view.setUint32(at, 0x0001000d, true)
    view.setUint16(at + 4, options.acs[0], true)
    view.setUint16(at + 6, options.acs[1], true)
  }
  return bytes
}

function uevent(driver: string | null, cls: string, id: string, sub = '0000:0000'): string {
  const first = driver === null ? '' : `DRIVER=${driver}\n`
  return `${first}PCI_CLASS=${cls}\nPCI_ID=${id}\nPCI_SUBSYS_ID=${sub}\nMODALIAS=pci:v\n`
}

const DEVICES: readonly DeviceFiles[] = [
  {
    at: '0000:00:01.0',
    dir: 'pci0000:00',
    uevent: uevent('pcieport', '60400', '8086:1901'),
    config: configBytes({ type: 4, acs: [0x5f, 0x1d], header: 1, buses: [0, 1, 1] }),
  },
  {
    at: '0000:00:0e.0',
    dir: 'pci0000:00',
    uevent: uevent('vmd', '10400', '8086:467F'),
    config: configBytes({ type: 9 }),
  },
  {
    at: '0000:01:00.0',
    dir: 'pci0000:00/0000:00:01.0',
    uevent: uevent('igb', '20000', '8086:1521', '8086:00A2'),
    config: configBytes({ type: 0, serial: 'a0369fffff123456' }),
    more: {
      sriov_totalvfs: '7',
      sriov_numvfs: '1',
      sriov_drivers_autoprobe: '1',
      reset_method: 'flr pm bus',
    },
  },
  {
    at: '0000:01:10.0',
    dir: 'pci0000:00/0000:00:01.0',
    uevent: uevent(null, '20000', '8086:1520'),
    config: configBytes({ type: 0 }),
  },
  {
    at: '10000:e0:06.0',
    dir: 'pci0000:00/0000:00:0e.0/pci10000:e0',
    uevent: uevent('pcieport', '60400', '8086:464D'),
    config: configBytes({ type: 4, acs: [0x5f, 0x1d], header: 1, buses: [0xe0, 0xe1, 0xe1] }),
  },
  {
    at: '10000:e1:00.0',
    dir: 'pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0',
    uevent: uevent('nvme', '10802', '144D:A80A'),
    config: configBytes({ type: 0 }),
  },
]

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  '0': ['0000:00:01.0'],
  '2': ['0000:00:0e.0', '10000:e0:06.0', '10000:e1:00.0'],
  '10': ['0000:01:00.0', '0000:01:10.0', 'INTC1055:00'],
}

const PCI_IDS = `8086  Intel Corporation
\t1521  I350 Gigabit Network Connection
\t9999  Not in this host
144d  Samsung Electronics Co Ltd
\ta80a  NVMe SSD Controller PM9A1/PM9A3/980PRO
C 02  Network controller
\t00  Ethernet controller
`

/** The whole tree; everything a command reads is there. */
export function sampleTree(): TreeFiles {
  const files: Record<string, string | Uint8Array> = {
    '/proc/sys/kernel/osrelease': '6.12.117+deb12-amd64\n',
    '/proc/cmdline':
      'BOOT_IMAGE=/vmlinuz root=UUID=1234-5678 ip=10.0.0.1::::secrethost:eth0 intel_iommu=on BOOTIF=01-a0-36-9f-12-34-56\n',
    '/proc/interrupts':
      '            CPU0       CPU1\n  24:          0          5  DMAR-MSI 0-edge      dmar0\n  30:          1          2  IR-PCI-MSIX-0000:01:00.0 0-edge      enxa0369f123456-rx-0\n NMI:          0          0   Non-maskable interrupts\n',
    '/proc/cpuinfo': 'processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vmx lm\n',
    '/proc/self/status': 'Name:\tnode\nUid:\t1000\t0\t0\t0\nCapEff:\t0000000000004000\n',
    '/proc/self/limits':
      'Limit                     Soft Limit           Hard Limit           Units\nMax locked memory         8388608              8388608              bytes\n',
    '/proc/meminfo': 'MemTotal:       16384 kB\n',
    '/sys/firmware/acpi/tables/DMAR': '',
    '/sys/class/iommu/dmar10/intel-iommu/ecap': 'f00f4a\n',
    '/sys/class/iommu/dmar2/intel-iommu/cap': 'd2008c40660462\n',
    '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode': 'N\n',
    '/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts': 'N\n',
    '/sys/module/e1000e/version': '1\n',
    '/dev/vfio/vfio': '',
    '/usr/share/misc/pci.ids': PCI_IDS,
  }
  const links: Record<string, string> = {
    '/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/virtfn0': '../0000:01:10.0',
    '/sys/devices/pci0000:00/0000:00:01.0/0000:01:10.0/physfn': '../0000:01:00.0',
    '/sys/class/net/enxa0369f123456':
      '../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/net/enxa0369f123456',
    '/sys/class/block/nvme0n1':
      '../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme0/nvme0n1',
    '/sys/kernel/iommu_groups/10/devices/INTC1055:00': '../../../../devices/platform/INTC1055:00',
    '/sys/devices/platform/INTC1055:00/subsystem': '../../../bus/platform',
  }
  for (const device of DEVICES) {
    const dir = `/sys/devices/${device.dir}/${device.at}`
    files[`${dir}/uevent`] = device.uevent
    files[`${dir}/revision`] = '0x01\n'
    files[`${dir}/driver_override`] = '(null)\n'
    files[`${dir}/numa_node`] = '-1\n'
    files[`${dir}/power_state`] = 'D0\n'
    files[`${dir}/power/runtime_status`] = 'active\n'
    if (device.config !== undefined) files[`${dir}/config`] = device.config
    for (const [name, text] of Object.entries(device.more ?? {}))
      files[`${dir}/${name}`] = `${text}\n`
    links[`/sys/bus/pci/devices/${device.at}`] = `../../../devices/${device.dir}/${device.at}`
  }
  for (const [id, members] of Object.entries(GROUPS)) {
    const dir = `/sys/kernel/iommu_groups/${id}`
    files[`${dir}/type`] = 'DMA-FQ\n'
    files[`${dir}/reserved_regions`] = '0x00000000fee00000 0x00000000feefffff msi\n'
    for (const member of members) {
      links[`${dir}/devices/${member}`] ??= `../../../../devices/${member}`
    }
  }
  return { files, links }
}
