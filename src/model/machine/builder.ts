/**
 * From the short form of a machine (machine-form.ts) to its description, doing what a board maker and
 * its firmware do: putting devices into slots, numbering the buses depth first, telling the IOMMU units
 * what they are in charge of.
 *
 * Until buses are numbered a device has no address; its place in the form ("buses[0].devices[2]") stands
 * for it, in messages too.
 */
import { IsogroupError } from '../../base/errors.ts'
import { fromHex, toHex } from '../../base/hex-bytes.ts'
import { parseAddress } from '../../pci/address.ts'
import { decodeConfig, extendedCapabilityOffset } from '../../pci/config-decode.ts'
import { EXTENDED_CAPABILITY } from '../../pci/config-facts.ts'
import { deviceKinds, type DeviceTemplate, deviceTemplate } from '../hardware/devices/catalogue.ts'
import { Errno } from '../errno.ts'
import { removeAcs, withAcs } from './change/acs-registers.ts'
import type { Branch, Root, Tree } from './change/branch.ts'
import { attach, harvest, newBranch } from './change/tree.ts'
import type { IommuDescription, MachineDescription } from './description.ts'
import type { BusForm, DeviceForm, FunctionForm, MachineForm } from './machine-form.ts'

const SLOTS = 32

/** What devices say about the IOMMU, under their places in the form. */
interface Charges {
  readonly scopes: Map<string, string[]>
  readonly partitions: Map<number, string[]>
  readonly reserved: IommuDescription['reserved'][number][]
}

/** @throws IsogroupError bad-machine, naming the place in the form */
export function buildMachine(form: MachineForm): MachineDescription {
  const tree: Tree = { roots: form.buses.map(rootOf), branches: new Map() }
  const charges: Charges = { scopes: new Map(), partitions: new Map(), reserved: [] }
  form.buses.forEach((bus, n) => {
    const root = tree.roots[n]
    if (root === undefined) return
    const path = `buses[${String(n)}].devices`
    plug(bus.devices, { above: root, path, unit: bus.unit, partition: null, charges })
  })
  return numbered(
    {
      name: form.name,
      title: form.title,
      kernelRelease: form.kernel,
      commandLine: form.commandLine,
      cpu: form.cpu,
      acpiTables: acpiTables(form),
      memoryBytes: form.memoryBytes,
      iommu: iommuOf(form, charges),
      functions: [],
      hostedBuses: [],
      drivers: form.drivers,
      names: form.names,
      ...(form.uses === undefined ? {} : { uses: form.uses }),
    },
    tree,
  )
}

/** Gives out bus numbers, and with them addresses for all that has been named by its place so far. */
function numbered(machine: MachineDescription, tree: Tree): MachineDescription {
  try {
    return harvest(machine, tree).machine
  } catch (cause) {
    if (!(cause instanceof Errno)) throw cause
    return bad('buses', 'more bridges than a root bus has numbers for', 'at most 255')
  }
}

function rootOf({ bus }: BusForm, n: number): Root {
  const at = parseAddress(`${bus}:00.0`)
  if (at === null) bad(`buses[${String(n)}].bus`, `"${bus}"`, 'a bus such as "0000:00"')
  return { domain: at.domain, bus: at.bus, children: [], wasGapless: true }
}

/** What a device inherits from the one above, and what it tells about itself. */
interface Place {
  readonly above: Root | Branch
  readonly path: string
  /** For a root bus: what is in charge of all on it. */
  readonly unit: string | null
  readonly partition: number | null
  readonly charges: Charges
}

function plug(devices: readonly DeviceForm[], place: Place): void {
  const taken = new Set<number>()
  devices.forEach((device, n) => {
    const path = `${place.path}[${String(n)}]`
    for (let copy = 0; copy < device.repeat; copy += 1) {
      const slot = freeSlot(taken, device, copy, path)
      plugSlot(device, slot, { ...place, path: pathOfCopy(path, device, copy) })
    }
  })
}

function pathOfCopy(path: string, { repeat }: FunctionForm, copy: number): string {
  return repeat === 1 ? path : `${path} copy ${String(copy)}`
}

function freeSlot(taken: Set<number>, device: DeviceForm, copy: number, at: string): number {
  let slot = device.slot === null ? 0 : device.slot + copy
  while (device.slot === null && taken.has(slot)) slot += 1
  if (slot >= SLOTS) bad(at, `${String(slot)} as its slot`, `a slot below ${String(SLOTS)}`)
  if (taken.has(slot)) bad(at, `slot ${slot.toString(16)}, which is taken`, 'a free slot')
  taken.add(slot)
  return slot
}

function plugSlot(device: DeviceForm, slot: number, place: Place): void {
  if (device.functions.length === 0) {
    plugFunction(device, { slot, number: 0, multifunction: false }, place)
    return
  }
  const taken = new Set<number>()
  let next = 0
  const multifunction = device.functions.length > 1 || (device.functions[0]?.repeat ?? 1) > 1
  device.functions.forEach((fn, n) => {
    const path = `${place.path}.functions[${String(n)}]`
    for (let copy = 0; copy < fn.repeat; copy += 1) {
      const number = fn.function === null ? next : fn.function + copy
      next = number + 1
      if (number > 7 || taken.has(number)) {
        bad(path, `function ${String(number)}`, 'a free number from 0 to 7')
      }
      taken.add(number)
      const at = pathOfCopy(path, fn, copy)
      plugFunction(fn, { slot, number, multifunction }, { ...place, path: at })
    }
  })
  if (!taken.has(0)) bad(place.path, 'no function 0', 'one: without it the slot looks empty')
}

interface Numbers {
  readonly slot: number
  readonly number: number
  readonly multifunction: boolean
}

function plugFunction(fn: FunctionForm, numbers: Numbers, place: Place): void {
  const { above, path, charges } = place
  const root = 'root' in above ? above.root : above
  const template = templateOf(fn, numbers.multifunction, path)
  const branch: Branch = { ...newBranch(template, root, path), original: path }
  if ('root' in above) attach(branch, above, numbers.slot, numbers.number)
  else putOnRoot(branch, above, numbers)
  charge(fn, place)
  if (fn.below.length === 0) return
  if (!branch.isBridge) bad(`${path}.below`, `devices below "${fn.kind ?? ''}"`, 'a bridge or port')
  const partition = fn.partition ?? place.partition
  // A unit's scope reaches down by itself.
  plug(fn.below, { above: branch, path: `${path}.below`, unit: null, partition, charges })
}

function putOnRoot(branch: Branch, root: Root, { slot, number }: Numbers): void {
  branch.device = slot
  branch.function = number
  root.children.push(branch)
}

/** Notes what the function says about units, endpoints and memory. */
function charge(fn: FunctionForm, { path, unit, partition, charges }: Place): void {
  const own = fn.unit ?? unit
  if (own !== null) append(charges.scopes, own, path)
  // A partitionable endpoint lists all of its functions.
  const endpoint = fn.partition ?? partition
  if (endpoint !== null) append(charges.partitions, endpoint, path)
  charges.reserved.push(...fn.reserved.map((region) => ({ at: path, ...region })))
}

function append<K>(lists: Map<K, string[]>, key: K, value: string): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}

function templateOf(fn: FunctionForm, multifunction: boolean, at: string): DeviceTemplate {
  const { kind, driver, services, numaNode, virtualFunctions } = fn
  if (kind === null) bad(`${at}.kind`, 'nothing', 'the name of a kind of device')
  const template = deviceTemplate(kind, { multifunction })
  if (template === undefined) bad(`${at}.kind`, `"${kind}"`, `one of ${deviceKinds().join(', ')}`)
  return {
    ...template,
    config: configOf(template, fn, at),
    ...(driver === undefined ? {} : { driver }),
    ...(services.length === 0 ? {} : { services }),
    ...(numaNode === null ? {} : { numaNode }),
    ...(virtualFunctions.length === 0
      ? {}
      : {
          virtualFunctions: virtualFunctions.map((own) =>
            own === undefined ? {} : { driver: own },
          ),
        }),
  }
}

/** Where the short form asks for other registers than the template has. */
function configOf(template: DeviceTemplate, fn: FunctionForm, at: string): string {
  if (fn.acs === null && fn.ids === null && fn.totalVfs === null) return template.config
  let config = fromHex(template.config)
  if (fn.acs === true) {
    const { pcie } = decodeConfig(config, true)
    const made = withAcs(config, pcie.known && pcie.value !== null)
    if (made === null) bad(`${at}.acs`, `true for "${template.kind}"`, 'a PCI Express function')
    config = made
  } else if (fn.acs === false) removeAcs(config)
  const view = new DataView(config.buffer)
  if (fn.ids !== null) {
    view.setUint16(0x00, fn.ids.vendor, true)
    view.setUint16(0x02, fn.ids.device, true)
  }
  if (fn.totalVfs !== null) {
    const sriov = extendedCapabilityOffset(config, EXTENDED_CAPABILITY.sriov)
    if (sriov === null) bad(`${at}.totalVfs`, String(fn.totalVfs), 'a function with SR-IOV')
    // InitialVFs and TotalVFs.
    view.setUint16(sriov + 0x0c, fn.totalVfs, true)
    view.setUint16(sriov + 0x0e, fn.totalVfs, true)
  }
  return toHex(config)
}

/** ACPI tables by which firmware tells kernels of each kind of IOMMU; others have none. */
const TABLE: Readonly<Record<string, string>> = { intel: 'DMAR', amd: 'IVRS' }

function acpiTables(form: MachineForm): readonly string[] {
  // POWER machines have device trees instead.
  if (form.iommu?.kind === 'power') return []
  const table = form.iommu === null ? undefined : TABLE[form.iommu.kind]
  return [...(table === undefined ? [] : [table]), 'APIC', 'FACP', 'HPET', 'MCFG'].sort()
}

function iommuOf({ iommu }: MachineForm, charges: Charges): IommuDescription | null {
  if (iommu === null) return null
  const unknown = [...charges.scopes.keys()].find((name) =>
    iommu.units.every((unit) => unit.name !== name),
  )
  if (unknown !== undefined) {
    bad(`${charges.scopes.get(unknown)?.[0] ?? ''}.unit`, `"${unknown}"`, 'a unit of `iommu.units`')
  }
  return {
    kind: iommu.kind,
    interruptRemapping: iommu.interruptRemapping,
    defaultDomain: iommu.defaultDomain,
    units: iommu.units.map(({ name, attributes }) => ({
      name,
      attributes,
      scope: charges.scopes.get(name) ?? null,
    })),
    reserved: charges.reserved,
    ...(charges.partitions.size === 0
      ? {}
      : {
          partitions: [...charges.partitions].map(([pe, functions]) => ({ pe, functions })),
        }),
  }
}

function bad(path: string, found: string, wanted: string): never {
  throw new IsogroupError(
    'bad-machine',
    `${path}: found ${found}, wanted ${wanted}`,
    'The form of machines is described at the top of src/open/model-file.ts.',
  )
}
