/**
 * Machines of the catalogue, as people write them: `machines/*.json` with the format "isogroup-model".
 *
 *     { "format": "isogroup-model", "version": 1, "name": "desktop", "title": "...",
 *       "kernel": "6.12.117+deb12-amd64", "commandLine": "intel_iommu=on", "cpu": "GenuineIntel", "memory": "16 GiB",
 *       "iommu": { "kind": "intel", "interruptRemapping": true, "defaultDomain": "DMA-FQ",
 *                  "units": [{ "name": "dmar0", "attributes": { "ecap": "f00f4a" } }] },
 *       "buses": [{ "bus": "0000:00", "unit": "dmar0", "devices": [DEVICE...] }],
 *       "drivers": [{ "name": "radio", "module": "radio", "managesDma": false, "ids": ["1234:0001"] }],
 *       "names": { "1234": "Vendor", "1234:0001": "Device", "C 0200": "Ethernet controller" },
 *       "uses": { "mounts": ["nvme0n1p2 / ext4"], "interfaces": ["eth0 192.168.1.10/24 192.168.1.1"], ... },
 *       "expected": [["0000:00:00.0"], ["0000:01:00.0", "0000:01:00.1"]] }
 *
 * DEVICE is `{ "kind": "nvme" }`, what one function has, or `{ "functions": [FUNCTION...] }`, and both
 * may have "slot" ("1f"; the next free one). Of a function: kind, function (number), repeat (1),
 * acs (true, false; as the kind has it), ids ("8086:10d3"), driver ("e1000e", null; whoever matches),
 * virtualFunctions (how many, or a list of their drivers; none), totalVfs, services (["net eth0"]; none),
 * unit (IOMMU unit of it and all below), partition (POWER), reserved ([{ "start", "end", "kind" }]),
 * numaNode, and below: the devices on the bus behind it.
 *
 * What the host does with its devices, in "uses", is explained in host-uses-file.ts.
 *
 * Everything but format, version, name, title, buses and the kind of a function may be left out.
 * "expected" holds the groups that a kernel forms of it (or "singletons"); tests compare the model's.
 */
import { IsogroupError } from '../base/errors.ts'
import type { DriverDescription } from '../model/machine/description.ts'
import { NO_USES } from '../model/machine/host-uses.ts'
import type {
  BusForm,
  DeviceForm,
  FunctionForm,
  IommuForm,
  MachineForm,
  ReservedForm,
} from '../model/machine/machine-form.ts'
import { hostUses } from './host-uses-file.ts'
import {
  count,
  entries,
  type Field,
  hexNumber,
  items,
  matched,
  member,
  onlyMembers,
  reject,
  text,
  truth,
} from './json-fields.ts'

export const MODEL_FORMAT = 'isogroup-model'
const MODEL_VERSION = 1

export interface ModelFile {
  readonly form: MachineForm
  /** Groups as lists of addresses; "singletons" = every function is one of its own. */
  readonly expected: readonly (readonly string[])[] | 'singletons'
}

const KERNEL = '6.12.117+deb12-amd64'
const MEMORY = 16 * 2 ** 30

/** @throws IsogroupError bad-machine (with the path of the bad member), newer-version */
export function parseModel(json: unknown): ModelFile {
  const root: Field = { value: json, path: '' }
  onlyMembers(root, [
    ...['format', 'version', 'name', 'title', 'kernel', 'commandLine', 'cpu', 'memory', 'iommu'],
    ...['buses', 'drivers', 'names', 'uses', 'expected'],
  ])
  checkFormat(root)
  const iommu = optional(member(root, 'iommu'), null, iommuForm)
  return {
    form: {
      name: text(member(root, 'name')),
      title: text(member(root, 'title')),
      kernel: optional(member(root, 'kernel'), KERNEL, text),
      commandLine: optional(member(root, 'commandLine'), commandLineFor(iommu), text),
      cpu: cpu(optional(member(root, 'cpu'), vendorFor(iommu), text)),
      memoryBytes: optional(member(root, 'memory'), MEMORY, bytes),
      iommu,
      buses: items(member(root, 'buses')).map(busForm),
      drivers: optional(member(root, 'drivers'), [], (field) => items(field).map(driver)),
      names: optional(member(root, 'names'), {}, texts),
      uses: optional(member(root, 'uses'), NO_USES, hostUses),
    },
    expected: optional(member(root, 'expected'), [], (field) =>
      field.value === 'singletons'
        ? 'singletons'
        : items(field).map((group) => items(group).map(text)),
    ),
  }
}

function checkFormat(root: Field): void {
  const format = member(root, 'format')
  if (format.value !== MODEL_FORMAT) reject(format, `"${MODEL_FORMAT}"`)
  const version = count(member(root, 'version'), 1e6)
  if (version > MODEL_VERSION) {
    throw new IsogroupError(
      'newer-version',
      `this machine file has version ${String(version)}; versions up to ${String(MODEL_VERSION)} can be read`,
      'Use a newer isogroup.',
    )
  }
}

function optional<T, A>(field: Field, absent: A, read: (field: Field) => T): T | A {
  return field.value === undefined ? absent : read(field)
}

function oneOf<T extends string>(field: Field, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === field.value)
  return found ?? reject(field, choices.map((choice) => `"${choice}"`).join(' or '))
}

const UNIT_BYTES: Readonly<Record<string, number>> = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }

function bytes(field: Field): number {
  const wanted = 'an amount such as "16 GiB"'
  const [amount = '', unit = ''] = matched(field, /^(\d{1,4}) (MiB|GiB|TiB)$/, wanted)
  return Number(amount) * (UNIT_BYTES[unit] ?? 1)
}

function vendorFor(iommu: IommuForm | null): string {
  if (iommu?.kind === 'power') return 'POWER9'
  return iommu?.kind === 'amd' || iommu?.kind === 'gart' ? 'AuthenticAMD' : 'GenuineIntel'
}

/** Linux leaves VT-d off unless it is told otherwise; the others are on. */
function commandLineFor(iommu: IommuForm | null): string {
  const words = ['BOOT_IMAGE=/boot/vmlinuz', 'ro', 'quiet']
  if (iommu?.kind === 'intel') words.push('intel_iommu=on')
  if (iommu?.interruptRemapping === false && iommu.kind !== 'power') words.push('intremap=off')
  if (iommu?.defaultDomain === 'identity') words.push('iommu=pt')
  if (iommu?.defaultDomain === 'DMA') words.push('iommu.strict=1')
  return words.join(' ')
}

function cpu(vendor: string): MachineForm['cpu'] {
  const virtualization = vendor === 'AuthenticAMD' ? 'svm' : 'vmx'
  return { vendor, flags: vendor.startsWith('POWER') ? [] : ['lm', virtualization] }
}

function texts(field: Field): Readonly<Record<string, string>> {
  return Object.fromEntries(entries(field).map(([name, value]) => [name, text(value)]))
}

function driver(field: Field): DriverDescription {
  onlyMembers(field, ['name', 'module', 'managesDma', 'ids'])
  const module = member(field, 'module')
  return {
    name: text(member(field, 'name')),
    module: module.value === undefined || module.value === null ? null : text(module),
    managesDma: optional(member(field, 'managesDma'), false, truth),
    ids: items(member(field, 'ids')).map(ids),
  }
}

function ids(field: Field): { vendor: number; device: number } {
  const pattern = /^([0-9a-f]{4}):([0-9a-f]{4})$/
  const [vendor, device] = matched(field, pattern, 'ids such as "8086:10d3"')
  return { vendor: parseInt(vendor ?? '', 16), device: parseInt(device ?? '', 16) }
}

function iommuForm(field: Field): IommuForm | null {
  if (field.value === null) return null
  onlyMembers(field, ['kind', 'interruptRemapping', 'defaultDomain', 'units'])
  const kind = oneOf(member(field, 'kind'), ['intel', 'amd', 'power', 'gart'])
  return {
    kind,
    interruptRemapping: optional(member(field, 'interruptRemapping'), kind !== 'gart', truth),
    defaultDomain: optional(member(field, 'defaultDomain'), 'DMA-FQ', (of) =>
      oneOf(of, ['DMA', 'DMA-FQ', 'identity']),
    ),
    units: optional(member(field, 'units'), [{ name: UNIT_NAME[kind], attributes: {} }], (of) =>
      items(of).map((unit) => {
        onlyMembers(unit, ['name', 'attributes'])
        const name = text(member(unit, 'name'))
        return { name, attributes: optional(member(unit, 'attributes'), {}, texts) }
      }),
    ),
  }
}

const UNIT_NAME: Readonly<Record<IommuForm['kind'], string>> = {
  intel: 'dmar0',
  amd: 'ivhd0',
  power: 'iommu-phb0000',
  gart: 'gart',
}

function busForm(field: Field): BusForm {
  onlyMembers(field, ['bus', 'unit', 'devices'])
  return {
    bus: optional(member(field, 'bus'), '0000:00', text),
    unit: optional(member(field, 'unit'), null, text),
    devices: items(member(field, 'devices')).map(deviceForm),
  }
}

const FUNCTION_MEMBERS = [
  ...[
    'kind',
    'function',
    'acs',
    'ids',
    'driver',
    'virtualFunctions',
    'totalVfs',
    'services',
    'unit',
  ],
  ...['partition', 'reserved', 'numaNode', 'below', 'repeat'],
]

/** A bus has no more slots. */
const REPEAT_MAX = 32

function deviceForm(field: Field): DeviceForm {
  const functions = member(field, 'functions')
  const place = ['slot', 'repeat']
  onlyMembers(field, [
    ...place,
    ...(functions.value === undefined ? FUNCTION_MEMBERS : ['functions']),
  ])
  return {
    ...functionMembers(field, functions.value !== undefined),
    slot: optional(member(field, 'slot'), null, (of) => hexNumber(of, 2)),
    repeat: optional(member(field, 'repeat'), 1, (of) => count(of, REPEAT_MAX)),
    functions: optional(functions, [], (of) => items(of).map(functionForm)),
  }
}

function functionForm(field: Field): FunctionForm {
  onlyMembers(field, FUNCTION_MEMBERS)
  return functionMembers(field, false)
}

function functionMembers(field: Field, hasFunctions: boolean): FunctionForm {
  const of = (name: string): Field => member(field, name)
  return {
    kind: hasFunctions ? null : text(of('kind')),
    function: optional(of('function'), null, (number) => count(number, 7)),
    repeat: optional(of('repeat'), 1, (number) => count(number, REPEAT_MAX)),
    acs: optional(of('acs'), null, truth),
    ids: optional(of('ids'), null, ids),
    driver: optional(of('driver'), undefined, driverName),
    virtualFunctions: optional(of('virtualFunctions'), [], virtualFunctions),
    totalVfs: optional(of('totalVfs'), null, (number) => count(number, 0xffff)),
    services: optional(of('services'), [], (list) => items(list).map(service)),
    unit: optional(of('unit'), null, text),
    partition: optional(of('partition'), null, (number) => count(number, 0xffff)),
    reserved: optional(of('reserved'), [], (list) => items(list).map(reserved)),
    numaNode: optional(of('numaNode'), null, (number) => count(number, 1023)),
    below: optional(of('below'), [], (list) => items(list).map(deviceForm)),
  }
}

function driverName(field: Field): string | null {
  return field.value === null ? null : text(field)
}

function virtualFunctions(field: Field): readonly (string | null | undefined)[] {
  if (Array.isArray(field.value)) return items(field).map(driverName)
  return new Array<undefined>(count(field, 0xffff)).fill(undefined)
}

function service(field: Field): { class: string; name: string } {
  const wanted = 'class and name such as "net eth0"'
  const [kind = '', name = ''] = matched(field, /^([a-z]+) ([\w.-]+)$/, wanted)
  return { class: kind, name }
}

function reserved(field: Field): ReservedForm {
  onlyMembers(field, ['start', 'end', 'kind'])
  const address = (of: Field): string => {
    const wanted = 'an address such as "0x000e0000"'
    return `0x${matched(of, /^0x([0-9a-f]{1,16})$/, wanted)[0] ?? ''}`
  }
  return {
    start: address(member(field, 'start')),
    end: address(member(field, 'end')),
    kind: oneOf(member(field, 'kind'), ['direct', 'direct-relaxable', 'reserved']),
  }
}
