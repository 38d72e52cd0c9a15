/** Steps that write and read files: right, wrong and odd values for every file that moves anything. */
import type { Operation, SlotName } from './operation.ts'
import type { World } from './world.ts'

const BUS = '/sys/bus/pci'
const GHOST = '0000:0f:1f.7'

const OVERRIDES: readonly string[] = [
  ...['vfio-pci', 'vfio-pci\n', 'pci-stub', 'e1000e', 'nvme', 'none', 'nosuch'],
  ...['\n', '\n', '\n', '\0', '', ' vfio-pci', 'vfio-pci \n', 'vfio-pci\nmore\n', 'a\0b'],
  ...['x'.repeat(4094), 'y'.repeat(4095), 'z'.repeat(4096), `${'w'.repeat(5000)}\n`, '(null)'],
]
const IDS: readonly string[] = [
  ...['8086 10d3', '1234 11e8', 'dead beef', 'dead beef', '1b36 0010', '8086 100e'],
  ...['8086', '', 'zzzz', '8086 10d3 ffffffff ffffffff 20000 ffffff', '1234 11e8 0 0 0 0 7'],
  ...['1234 11e8 1af4 1100', '8086 10d3\n', '8086,10d3', '12345678 11e8', '0x8086 0x10d3'],
]
const SWITCHES: readonly string[] = ['0', '1', '1', '2', 'x', '', '1\n', 'y', 'off', 'on']
const NUMBERS: readonly string[] = ['0', '1', '1\n', '2', '3', '-1', 'x', '', '65536', '0x1', '1 2']
const RESET_METHODS: readonly string[] = [
  ...['default', 'default', 'flr', 'pm', 'bus', 'flr pm', 'pm flr', 'bus pm', 'bogus', '', '\n'],
  ...['device_specific', 'flr flr', 'pm bogus', 'cxl_bus', 'acpi', 'af_flr', 'flr,pm'],
]
const TYPES: readonly string[] = [
  ...['identity', 'DMA', 'DMA-FQ', 'auto', 'auto\n', 'bogus', '', 'identity\n', 'dma', 'DMA-F'],
]
/** Settings of a function that do nothing at once. */
const QUIET_FILES: readonly string[] = [
  ...['numa_node', 'd3cold_allowed', 'msi_bus', 'msi_bus', 'broken_parity_status'],
  'power/autosuspend_delay_ms',
]
/** Parameters of modules, most of which are only looked at when the module is loaded. */
const PARAMETERS: readonly string[] = [
  ...['vfio_iommu_type1/parameters/dma_entry_limit', 'vfio_pci/parameters/enable_sriov'],
  ...['vfio_iommu_type1/parameters/allow_unsafe_interrupts', 'vfio_pci/parameters/nointxmask'],
  ...['vfio_iommu_type1/parameters/disable_hugepages', 'vfio_pci/parameters/disable_idle_d3'],
  'vfio_pci/parameters/disable_denylist',
]
const READS: readonly string[] = [
  ...['class', 'vendor', 'device', 'revision', 'subsystem_vendor', 'subsystem_device', 'modalias'],
  ...['uevent', 'resource', 'numa_node', 'msi_bus', 'broken_parity_status', 'ari_enabled'],
  ...['current_link_speed', 'max_link_width'],
  ...['max_link_speed', 'current_link_width', 'd3cold_allowed', 'sriov_totalvfs', 'sriov_offset'],
  ...['sriov_stride', 'sriov_vf_device', 'sriov_vf_total_msix', 'secondary_bus_number'],
  ...['subordinate_bus_number', 'boot_vga', 'rescan', 'remove', 'nosuch'],
  ...['power/control', 'power/runtime_enabled', 'power/runtime_usage'],
]

type Maker = (world: World) => Operation | undefined

/** Weight and maker. */
const MAKERS: readonly (readonly [number, Maker])[] = [
  [14, writeOverride],
  [10, (world) => bind(world, 'bind')],
  [8, (world) => bind(world, 'unbind')],
  [8, probe],
  [4, newId],
  [3, (world) => fileOfBus(world, 'drivers_autoprobe', SWITCHES)],
  [5, (world) => ofPhysical(world, 'sriov_numvfs', NUMBERS)],
  [2, (world) => ofPhysical(world, 'sriov_drivers_autoprobe', SWITCHES)],
  [4, remove],
  [4, rescan],
  [5, (world) => ofAny(world, 'reset', ['1', '1', '1', '0', 'x', '2'])],
  [5, (world) => ofAny(world, 'reset_method', RESET_METHODS)],
  [6, (world) => ofAny(world, 'power/control', ['on', 'auto', 'on', 'auto\n', 'bogus', ''])],
  [3, (world) => ofAny(world, 'enable', ['0', '1', 'x', '2', ''])],
  [8, writeType],
  [2, (world) => ofAny(world, 'uevent', ['add', 'change', 'remove', 'bogus', 'add x y', ''])],
  [4, (world) => ofAny(world, world.pick(QUIET_FILES) ?? '', NUMBERS)],
  [3, writeParameter],
  [6, read],
  [3, plug],
]
const TOTAL = MAKERS.reduce((sum, [weight]) => sum + weight, 0)

/** Any step with a file. */
export function fileStep(world: World): Operation | undefined {
  let drawn = world.random.between(1, TOTAL)
  for (const [weight, make] of MAKERS) {
    drawn -= weight
    if (drawn <= 0) return make(world)
  }
  return undefined
}

/** One write, or what has to be done first so that it does not wait for ever. */
export function write(world: World, path: string, text: string): Operation | undefined {
  if (wakesVirtual(world, path, text) || losesVirtual(world, path, text)) return undefined
  if (misleads(world, path, text)) return undefined
  const inUse = blockers(world, path, text)
  if (inUse.length === 0) return { kind: 'write', path, text }
  if (world.random.percent(30)) return { kind: 'blocked-write', path, text, close: inUse }
  return { kind: 'close', slot: inUse[0] ?? ['device', 0] }
}

/**
 * Whether a write could make nvme take a virtual function. QEMU's are offline until the physical one
 * turns them on, which nothing here does; nvme then waits for seconds and lets go when it pleases.
 */
function wakesVirtual(world: World, path: string, text: string): boolean {
  const virtual = world.functions().filter((address) => world.isVirtual(address))
  const named = text.trim()
  if (path.endsWith('/sriov_drivers_autoprobe')) return !/^[0x]?$/.test(named)
  if (path.endsWith('/sriov_numvfs')) {
    return world.value(path.split('/')[5] ?? '', 'sriov_drivers_autoprobe') === '1'
  }
  if (virtual.length === 0) return false
  if (path.includes('/drivers/nvme/')) return true
  if (path.endsWith('/driver_override')) return named === 'nvme'
  if (!path.endsWith('/drivers_probe') || !virtual.includes(named)) return false
  return world.value(named, 'driver_override') === '(null)'
}

/**
 * Whether a write could give a function to a driver that takes it for its own hardware without looking.
 * e1000e reads registers beyond the end of a small BAR, which no kernel survives. nvme on 6.1 binds first and
 * looks later, in a task of its own (nvme_reset_work), and lets go when that is done.
 */
function misleads({ universe, probesLate }: World, path: string, text: string): boolean {
  const [, by] = /\/drivers\/([^/]+)\/new_id$/.exec(path) ?? []
  const driver = path.endsWith('/driver_override') ? text : by
  if (driver !== 'e1000e' && !(driver === 'nvme' && probesLate)) return false
  const { addresses, foreignIds } = universe.trusting[driver]
  return by === undefined ? !addresses.includes(path.split('/')[5] ?? '') : foreignIds.test(text)
}

/**
 * Whether virtual functions could lose their hardware: QEMU's go when the physical one is reset, and stay
 * away, because their enable bit stays set and the kernel takes them for restored. A physical function
 * that a user has is reset whenever the user likes.
 */
function losesVirtual(world: World, path: string, text: string): boolean {
  const address = path.split('/')[5] ?? ''
  if (path.endsWith('/sriov_numvfs'))
    return world.driver(address) === 'vfio-pci' && Number(text) > 0
  if (!path.endsWith('/reset') || text !== '1') return false
  const functions = world.functions()
  return virtualOf(world, address).some((virtual) => functions.includes(virtual))
}

/** Open devices that a write would wait for. */
function blockers(world: World, path: string, text: string): readonly SlotName[] {
  return slotsOf(world, leaving(world, path, text))
}

function slotsOf(world: World, addresses: readonly string[]): readonly SlotName[] {
  return addresses.flatMap((address) => world.open('device', address))
}

/** Functions that lose their driver by a write. */
function leaving(world: World, path: string, text: string): readonly string[] {
  const [, driver] = /^\/sys\/bus\/pci\/drivers\/([^/]+)\/unbind$/.exec(path) ?? []
  const address = driver === undefined ? (path.split('/')[5] ?? '') : text.trimEnd()
  if (driver !== undefined) {
    return world.driver(address) === driver ? [address, ...virtualOf(world, address)] : []
  }
  if (path.endsWith('/sriov_numvfs')) return virtualOf(world, address)
  return path.endsWith('/remove') ? below(world, address) : []
}

function virtualOf(world: World, address: string): readonly string[] {
  return world.universe.virtual[address] ?? []
}

/** A function and everything behind it. */
function below(world: World, address: string): readonly string[] {
  const { above } = world.universe
  const children = Object.keys(above).filter((child) => above[child] === address)
  const virtual = virtualOf(world, address)
  return [address, ...virtual, ...children.flatMap((child) => below(world, child))]
}

function device(address: string, file: string): string {
  return `${BUS}/devices/${address}/${file}`
}

function anyAddress(world: World): string {
  return world.random.percent(3) ? GHOST : (world.pick(world.functions()) ?? GHOST)
}

/** Mostly endpoints: bridges answer the same most of the time. */
function likelyAddress(world: World): string {
  const endpoints = world.functions().filter((one) => !world.universe.bridges.has(one))
  return world.random.percent(80) ? (world.pick(endpoints) ?? GHOST) : anyAddress(world)
}

function writeOverride(world: World): Operation | undefined {
  const text = world.pick(OVERRIDES) ?? ''
  return write(world, device(likelyAddress(world), 'driver_override'), text)
}

function bind(world: World, file: 'bind' | 'unbind'): Operation | undefined {
  const address = likelyAddress(world)
  const own = file === 'unbind' ? world.driver(address) : world.value(address, 'driver_override')
  const likely = own !== undefined && world.universe.drivers.includes(own)
  const anyDriver = world.pick(world.universe.drivers) ?? 'vfio-pci'
  const driver = likely && world.random.percent(75) ? own : anyDriver
  return write(world, `${BUS}/drivers/${driver}/${file}`, oddly(world, address))
}

function probe(world: World): Operation | undefined {
  return write(world, `${BUS}/drivers_probe`, oddly(world, likelyAddress(world)))
}

/** An address as people write it, now and then wrong. */
function oddly(world: World, address: string): string {
  if (world.random.percent(75)) return address
  return (
    world.pick([`${address}\n`, ` ${address}`, address.slice(5), '', '\n', `${address} x`]) ?? ''
  )
}

function newId(world: World): Operation | undefined {
  const driver = world.pick(['vfio-pci', 'pci-stub', 'e1000e', 'nvme', 'nosuch'])
  const file = world.pick(['new_id', 'remove_id', 'remove_id'])
  return write(world, `${BUS}/drivers/${driver ?? ''}/${file ?? ''}`, world.pick(IDS) ?? '')
}

function fileOfBus(world: World, file: string, values: readonly string[]): Operation | undefined {
  return write(world, `${BUS}/${file}`, world.pick(values) ?? '')
}

function ofPhysical(world: World, file: string, values: readonly string[]): Operation | undefined {
  const physical = world.pick(Object.keys(world.universe.virtual))
  const off = world.value(physical ?? '', 'sriov_drivers_autoprobe') === '0'
  if (physical !== undefined && !off && world.random.percent(50)) {
    return write(world, device(physical, 'sriov_drivers_autoprobe'), '0')
  }
  const address = world.random.percent(92) ? (physical ?? GHOST) : anyAddress(world)
  return write(world, device(address, file), world.pick(values) ?? '')
}

function ofAny(world: World, file: string, values: readonly string[]): Operation | undefined {
  return write(world, device(likelyAddress(world), file), world.pick(values) ?? '')
}

function remove(world: World): Operation | undefined {
  const address = world.pick(world.universe.removable) ?? GHOST
  // Its driver leaves virtual functions alone when it goes: they would have no hardware behind them.
  const virtual = world.universe.virtual[address] ?? []
  if (virtual.some((one) => world.driver(one) !== undefined || world.value(one, 'enable'))) {
    return undefined
  }
  return write(world, device(address, 'remove'), world.pick(['1', '1', '1', '0', 'x', '']) ?? '')
}

function rescan(world: World): Operation | undefined {
  const text = world.pick(['1', '1', '1', '1', '0', 'x']) ?? '1'
  if (world.random.percent(60)) return write(world, `${BUS}/rescan`, text)
  if (world.random.percent(70)) return write(world, device(anyAddress(world), 'rescan'), text)
  const address = anyAddress(world)
  return write(world, `/sys/class/pci_bus/${address.slice(0, 7)}/rescan`, text)
}

function writeParameter(world: World): Operation | undefined {
  const path = `/sys/module/${world.pick(PARAMETERS) ?? ''}`
  const values = path.endsWith('limit') ? [...NUMBERS, '65535', '65535'] : SWITCHES
  return write(world, path, world.pick(values) ?? '')
}

function writeType(world: World): Operation | undefined {
  const group = world.pick(world.groups())
  if (group === undefined) return undefined
  return write(world, `/sys/kernel/iommu_groups/${group}/type`, world.pick(TYPES) ?? '')
}

function read(world: World): Operation {
  if (world.random.percent(15)) {
    return { kind: 'read', path: `/sys/module/${world.pick(PARAMETERS) ?? ''}` }
  }
  return { kind: 'read', path: device(anyAddress(world), world.pick(READS) ?? 'class') }
}

function plug(world: World): Operation | undefined {
  const newcomer = world.pick(world.universe.newcomers)
  if (newcomer === undefined) return undefined
  if (!world.plugged.has(newcomer.name)) return { kind: 'plug', newcomer: newcomer.name }
  // Who would let go of the card went with the bridge.
  const bridge = world.universe.above[newcomer.address]
  if (bridge !== undefined && !world.functions().includes(bridge)) return undefined
  const [first] = slotsOf(world, [newcomer.address])
  if (first !== undefined) return { kind: 'close', slot: first }
  return { kind: 'unplug', newcomer: newcomer.name }
}
