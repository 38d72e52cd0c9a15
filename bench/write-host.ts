/**
 * Writes a laid-out host as files: sys/ and proc/ as Linux 6.12 shows them, as far as the measured
 * programs look, with the links that they follow. Everything a function has in sysfs costs a name in
 * its folder, so names that nobody reads are there too where every function has them.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeConfigSpace } from './config-space.ts'
import { sharedFiles } from './shared-files.ts'
import { hex, type SyntheticFunction } from './synthetic-host.ts'
import { writeSystemFiles } from './system-files.ts'

/** There on every host, with or without functions. */
const FOLDERS = [
  'bus/pci/devices',
  'bus/pci/drivers',
  'bus/pci/slots',
  'class/net',
  'devices/virtual/iommu',
  'kernel/iommu_groups',
]

const MSI_WINDOW = '0x00000000fee00000 0x00000000feefffff msi\n'

/** Creates sys/ and proc/ below an empty or missing folder. */
export function writeHost(folder: string, functions: readonly SyntheticFunction[]): void {
  const tree: Tree = { sys: join(folder, 'sys'), put: sharedFiles() }
  for (const path of FOLDERS) mkdirSync(join(tree.sys, path), { recursive: true })
  const groupIds = numberGroups(functions)
  const virtuals = findVirtuals(functions)
  for (const group of groupIds.values()) writeGroup(tree, group)
  for (const fn of functions) {
    const group = groupIds.get(fn.groupKey) ?? 0
    writeFunction(tree, fn, group, virtuals.get(fn) ?? [])
    writeMembership(tree, fn, group)
  }
  writeSystemFiles(folder, functions)
}

interface Tree {
  /** The folder sys/. */
  readonly sys: string
  readonly put: (path: string, text: string) => void
}

function numberGroups(functions: readonly SyntheticFunction[]): Map<string, number> {
  const ids = new Map<string, number>()
  for (const fn of functions) {
    if (!ids.has(fn.groupKey)) ids.set(fn.groupKey, ids.size)
  }
  return ids
}

function findVirtuals(
  functions: readonly SyntheticFunction[],
): Map<SyntheticFunction, SyntheticFunction[]> {
  const found = new Map<SyntheticFunction, SyntheticFunction[]>()
  for (const fn of functions) {
    if (fn.physical === null) continue
    const list = found.get(fn.physical) ?? []
    list.push(fn)
    found.set(fn.physical, list)
  }
  return found
}

/** "devices/pci0000:00/0000:00:01.0/0000:01:00.0" */
function devicePath(fn: SyntheticFunction): string {
  const rootBus = (fn.above[0] ?? fn).address.slice(0, 7)
  return ['devices', `pci${rootBus}`, ...[...fn.above, fn].map((one) => one.address)].join('/')
}

/** Translation unit of a function: one per domain. */
function unitName(fn: SyntheticFunction): string {
  return `dmar${Number.parseInt(fn.address.slice(0, 4), 16)}`
}

function writeFunction(
  { sys, put }: Tree,
  fn: SyntheticFunction,
  group: number,
  virtuals: readonly SyntheticFunction[],
): void {
  const path = devicePath(fn)
  const folder = join(sys, path)
  mkdirSync(join(folder, 'power'), { recursive: true })
  const config = writeConfigSpace({
    ...fn.kind,
    revision: 1,
    subsystemVendor: fn.kind.vendor,
    subsystemDevice: fn.kind.device,
    multifunction: fn.multifunction,
    buses: fn.buses === null ? null : [Number.parseInt(fn.address.slice(5, 7), 16), ...fn.buses],
    sriov: virtuals[0] === undefined ? null : describeSriov(fn, virtuals[0], virtuals.length),
    virtual: fn.physical !== null,
  })
  writeFileSync(join(folder, 'config'), config)
  for (const [name, text] of Object.entries(attributesOf(fn, virtuals.length))) {
    put(join(folder, name), text)
  }
  const up = '../'.repeat(path.split('/').length)
  symlinkSync(`${up}bus/pci`, join(folder, 'subsystem'))
  symlinkSync(`${up}kernel/iommu_groups/${group}`, join(folder, 'iommu_group'))
  symlinkSync(`${up}devices/virtual/iommu/${unitName(fn)}`, join(folder, 'iommu'))
  symlinkSync(`../../../${path}`, join(sys, 'bus/pci/devices', fn.address))
  virtuals.forEach((one, n) => symlinkSync(up + devicePath(one), join(folder, `virtfn${n}`)))
  if (fn.physical !== null) symlinkSync(up + devicePath(fn.physical), join(folder, 'physfn'))
  if (fn.driver !== null) bindDriver(sys, fn, fn.driver, up)
}

function describeSriov(
  fn: SyntheticFunction,
  first: SyntheticFunction,
  vfs: number,
): { vfs: number; offset: number; vfDevice: number } {
  const offset = requesterId(first) - requesterId(fn)
  return { vfs, offset, vfDevice: first.kind.device }
}

function requesterId(fn: SyntheticFunction): number {
  const [, bus = '', slot = '', digit = ''] = fn.address.split(/[:.]/)
  const devfn = Number.parseInt(slot, 16) * 8 + Number(digit)
  return Number.parseInt(bus, 16) * 256 + devfn
}

function bindDriver(sys: string, fn: SyntheticFunction, driver: string, up: string): void {
  const folder = join(sys, 'bus/pci/drivers', driver)
  mkdirSync(folder, { recursive: true })
  symlinkSync(`../../../../${devicePath(fn)}`, join(folder, fn.address))
  symlinkSync(`${up}bus/pci/drivers/${driver}`, join(sys, devicePath(fn), 'driver'))
  if (fn.kind.classCode >>> 8 !== 0x0200 || driver === 'vfio-pci') return
  const name = `eth${requesterId(fn) + Number.parseInt(fn.address.slice(0, 4), 16) * 0x10000}`
  mkdirSync(join(sys, devicePath(fn), 'net', name), { recursive: true })
  symlinkSync(`../../${devicePath(fn)}/net/${name}`, join(sys, 'class/net', name))
}

function attributesOf(fn: SyntheticFunction, virtuals: number): Record<string, string> {
  const { vendor, device, classCode } = fn.kind
  const alias = moduleAlias(fn)
  const ids = `${upper(vendor, 4)}:${upper(device, 4)}`
  const driver = fn.driver === null ? '' : `DRIVER=${fn.driver}\n`
  return {
    class: `0x${hex(classCode, 6)}\n`,
    device: `0x${hex(device, 4)}\n`,
    driver_override: '(null)\n',
    enable: '1\n',
    irq: '0\n',
    local_cpulist: '0-31\n',
    modalias: `${alias}\n`,
    msi_bus: '1\n',
    numa_node: '0\n',
    'power/control': 'auto\n',
    'power/runtime_status': 'active\n',
    power_state: 'D0\n',
    resource: '0x0000000000000000 0x0000000000000000 0x0000000000000000\n'.repeat(13),
    revision: '0x01\n',
    subsystem_device: `0x${hex(device, 4)}\n`,
    subsystem_vendor: `0x${hex(vendor, 4)}\n`,
    uevent:
      `${driver}PCI_CLASS=${upper(classCode, 1)}\nPCI_ID=${ids}\nPCI_SUBSYS_ID=${ids}\n` +
      `PCI_SLOT_NAME=${fn.address}\nMODALIAS=${alias}\n`,
    vendor: `0x${hex(vendor, 4)}\n`,
    ...rareAttributesOf(fn, virtuals),
  }
}

/** Attributes that only some sorts of functions have. */
function rareAttributesOf(fn: SyntheticFunction, virtuals: number): Record<string, string> {
  const { type } = fn.kind
  return {
    ...(type === null ? {} : { max_link_speed: '16.0 GT/s PCIe\n' }),
    ...(fn.buses === null
      ? { reset_method: type === null ? 'pm\n' : 'flr bus\n' }
      : {
          secondary_bus_number: `${fn.buses[0]}\n`,
          subordinate_bus_number: `${fn.buses[1]}\n`,
        }),
    ...(virtuals === 0
      ? {}
      : {
          sriov_totalvfs: `${virtuals}\n`,
          sriov_numvfs: `${virtuals}\n`,
          sriov_drivers_autoprobe: '1\n',
        }),
  }
}

function moduleAlias(fn: SyntheticFunction): string {
  const { vendor, device, classCode } = fn.kind
  const [v, d, c] = [upper(vendor, 8), upper(device, 8), upper(classCode, 6)]
  return `pci:v${v}d${d}sv${v}sd${d}bc${c.slice(0, 2)}sc${c.slice(2, 4)}i${c.slice(4)}`
}

function upper(value: number, digits: number): string {
  return hex(value, digits).toUpperCase()
}

function writeGroup({ sys, put }: Tree, group: number): void {
  const folder = join(sys, 'kernel/iommu_groups', String(group))
  mkdirSync(join(folder, 'devices'), { recursive: true })
  put(join(folder, 'type'), 'DMA-FQ\n')
  put(join(folder, 'reserved_regions'), MSI_WINDOW)
}

function writeMembership({ sys }: Tree, fn: SyntheticFunction, group: number): void {
  const folder = join(sys, 'kernel/iommu_groups', String(group))
  symlinkSync(`../../../../${devicePath(fn)}`, join(folder, 'devices', fn.address))

  const unit = join(sys, 'devices/virtual/iommu', unitName(fn))
  mkdirSync(join(unit, 'devices'), { recursive: true })
  symlinkSync(`../../../../../${devicePath(fn)}`, join(unit, 'devices', fn.address))
}
