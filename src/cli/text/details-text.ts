/** Everything about one device, as a column of labels and values. */
import type { Fact } from '../../base/fact.ts'
import type { DeviceDetails, PciFunction, SriovState } from '../../isolation/host.ts'
import { hex } from '../../pci/address.ts'
import { typeName } from '../../isolation/groups/acs.ts'
import { type Screen, hanging } from '../screen.ts'
import { idsText, nameText } from './device-text.ts'

const LABEL_WIDTH = 12

export function detailsLines(
  fn: PciFunction,
  details: DeviceDetails,
  screen: Screen,
): readonly string[] {
  const rows: readonly (readonly [label: string, value: string])[] = [
    ['device', `${nameText(fn)} ${idsText(fn)}`.trim()],
    ['class', classText(fn)],
    ['subsystem', factText(fn.subsystem, (ids) => (ids === null ? 'none' : pairText(ids)))],
    ['driver', factText(fn.driver, (driver) => driver ?? 'none')],
    ['override', factText(details.driverOverride, (driver) => driver ?? 'none')],
    [
      'used as',
      factText(details.services, (list) => list.map(serviceText).join(', ') || 'nothing'),
    ],
    ['IOMMU unit', factText(details.unit, (unit) => unit ?? 'none')],
    ['PCI Express', factText(fn.config.pcie, (pcie) => pcieText(pcie?.type ?? null))],
    ['ACS', acsText(fn)],
    ['resets', factText(fn.resetMethods, (methods) => methods.join(', ') || 'none')],
    ['power', powerText(details)],
    ['NUMA node', factText(details.numaNode, (node) => (node === null ? 'none' : String(node)))],
    ...virtualRows(fn, details),
  ]
  return [
    screen.paint('bold', fn.address),
    ...rows.flatMap(([label, value]) =>
      hanging(`  ${label.padEnd(LABEL_WIDTH)}`, value, screen.width),
    ),
  ]
}

function factText<T>(fact: Fact<T>, show: (value: T) => string): string {
  return fact.known ? show(fact.value) : `unknown: ${fact.why}`
}

function classText({ classCode, className, revision }: PciFunction): string {
  const code = factText(classCode, (value) => hex(value, 6))
  const rev = revision.known ? `, revision ${hex(revision.value, 2)}` : ''
  return className === null ? `${code}${rev}` : `${className} [${code}]${rev}`
}

function pairText(ids: { readonly vendor: number; readonly device: number }): string {
  return `[${hex(ids.vendor, 4)}:${hex(ids.device, 4)}]`
}

function serviceText(service: { readonly kind: string; readonly name: string }): string {
  return `${service.name} (${service.kind})`
}

function pcieText(type: number | null): string {
  return type === null ? 'no, a conventional PCI device' : typeName(type)
}

function acsText({ config }: PciFunction): string {
  if (!config.acs.known) return `unknown: ${config.acs.why}`
  if (config.acs.value === null) return 'no capability'
  return factText(
    config.acs.value.bits,
    ({ capability, control }) =>
      `capability ${hex(capability & 0xffff, 4)} control ${hex(control & 0xffff, 4)}`,
  )
}

function powerText({ powerState, runtimeStatus }: DeviceDetails): string {
  const state = factText(powerState, (value) => value)
  return runtimeStatus.known ? `${state}, ${runtimeStatus.value}` : state
}

function virtualRows(
  { physicalFunction }: PciFunction,
  { sriov }: DeviceDetails,
): readonly (readonly [string, string])[] {
  if (physicalFunction.known && physicalFunction.value !== null) {
    return [['SR-IOV', `virtual function of ${physicalFunction.value}`]]
  }
  if (sriov.known && sriov.value === null) return []
  return [['SR-IOV', factText(sriov, (state) => (state === null ? 'no' : sriovText(state)))]]
}

function sriovText({ totalVfs, numVfs, autoprobe, virtualFunctions }: SriovState): string {
  const probing = autoprobe ? 'new ones get host drivers' : 'new ones get no driver'
  const list = virtualFunctions.length === 0 ? '' : `: ${virtualFunctions.join(', ')}`
  return `${String(numVfs)} of ${String(totalVfs)} virtual functions, ${probing}${list}`
}
