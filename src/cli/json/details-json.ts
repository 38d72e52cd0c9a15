/** `show --json`: one group or device with everything that can be read about it. */
import type { AssessedGroup } from '../../isolation/assess/assess.ts'
import type {
  DeviceDetails,
  HostService,
  PciFunction,
  ReservedRegion,
  SriovState,
} from '../../isolation/host.ts'
import { hex } from '../../pci/address.ts'
import { type DeviceJson, deviceJson, idText, same, shown } from './device-json.ts'
import { type GroupJson, groupJson } from './group-json.ts'

export interface DeviceDetailsJson extends DeviceJson {
  /** 2 hexadecimal digits */
  readonly revision: string | null
  readonly subsystem: { readonly vendor: string; readonly device: string } | null
  /** PCI Express device/port type; null for a conventional device */
  readonly pcieType: number | null
  /** ACS capability and control words, 4 hexadecimal digits each; null without the capability */
  readonly acs: { readonly capability: string; readonly control: string } | null
  readonly resetMethods: readonly string[] | null
  readonly services: readonly HostService[] | null
  readonly driverOverride: string | null
  readonly numaNode: number | null
  readonly powerState: string | null
  readonly runtimeStatus: string | null
  /** IOMMU unit that translates it; null when none does */
  readonly unit: string | null
  readonly sriov: SriovState | null
}

export interface GroupDetailsJson extends GroupJson {
  /** Default domain: "DMA", "DMA-FQ", "identity", ... */
  readonly type: string | null
  readonly name: string | null
  readonly reserved: readonly ReservedRegion[] | null
  readonly unknown: Readonly<Record<string, string>>
}

export interface DetailsJson {
  readonly host: string
  /** What was asked for: an address, a device name, or "group:13". */
  readonly target: string
  /** The group asked for or the device's own; null when it has none. */
  readonly group: GroupDetailsJson | null
  /** The device asked for, or all of the group. */
  readonly devices: readonly DeviceDetailsJson[]
}

export function groupDetailsJson(assessed: AssessedGroup): GroupDetailsJson {
  const unknown: Record<string, string> = {}
  const { type, name, reserved } = assessed.group
  return {
    ...groupJson(assessed),
    type: shown(unknown, 'type', type, same),
    name: shown(unknown, 'name', name, same),
    reserved: shown(unknown, 'reserved', reserved, same),
    unknown,
  }
}

export function deviceDetailsJson(fn: PciFunction, details: DeviceDetails): DeviceDetailsJson {
  const plain = deviceJson(fn)
  const unknown: Record<string, string> = { ...plain.unknown }
  return {
    ...plain,
    revision: shown(unknown, 'revision', fn.revision, (revision) => hex(revision, 2)),
    subsystem: shown(unknown, 'subsystem', fn.subsystem, (ids) =>
      ids === null ? null : { vendor: idText(ids.vendor), device: idText(ids.device) },
    ),
    pcieType: shown(unknown, 'pcieType', fn.config.pcie, (pcie) => pcie?.type ?? null),
    acs: acsJson(unknown, fn),
    resetMethods: shown(unknown, 'resetMethods', fn.resetMethods, same),
    services: shown(unknown, 'services', details.services, same),
    driverOverride: shown(unknown, 'driverOverride', details.driverOverride, same),
    numaNode: shown(unknown, 'numaNode', details.numaNode, same),
    powerState: shown(unknown, 'powerState', details.powerState, same),
    runtimeStatus: shown(unknown, 'runtimeStatus', details.runtimeStatus, same),
    unit: shown(unknown, 'unit', details.unit, same),
    sriov: shown(unknown, 'sriov', details.sriov, same),
    unknown,
  }
}

function acsJson(unknown: Record<string, string>, fn: PciFunction): DeviceDetailsJson['acs'] {
  const acs = shown(unknown, 'acs', fn.config.acs, same)
  if (acs === null) return null
  return shown(unknown, 'acs', acs.bits, ({ capability, control }) => ({
    capability: hex(capability & 0xffff, 4),
    control: hex(control & 0xffff, 4),
  }))
}
