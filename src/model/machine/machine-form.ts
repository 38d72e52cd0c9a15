/**
 * The short form in which people write machines: devices nested below the ports they hang on, kinds by
 * name, no registers and no bus numbers. `machines/*.json` with the format "isogroup-model" hold it
 * (open/model-file.ts reads them); builder.ts makes the machine of it.
 *
 *     { "buses": [{ "devices": [
 *         { "kind": "root-port", "below": [{ "kind": "nvme", "services": ["nvme nvme0"] }] },
 *         { "slot": "1f", "functions": [{ "kind": "isa-bridge" }, { "kind": "smbus" }] } ] }] }
 */
import type { DriverDescription, IommuDescription } from './description.ts'
import type { HostUses } from './host-uses.ts'

export interface MachineForm {
  readonly name: string
  /** One line for people. */
  readonly title: string
  /** As uname -r prints it. */
  readonly kernel: string
  readonly commandLine: string
  readonly cpu: { readonly vendor: string; readonly flags: readonly string[] }
  readonly memoryBytes: number
  readonly iommu: IommuForm | null
  readonly buses: readonly BusForm[]
  readonly drivers: readonly DriverDescription[]
  readonly names: Readonly<Record<string, string>>
  /** What the host does with its devices; absent = nothing that shows. */
  readonly uses?: HostUses
}

export interface IommuForm {
  readonly kind: IommuDescription['kind']
  readonly interruptRemapping: boolean
  readonly defaultDomain: IommuDescription['defaultDomain']
  /** In the firmware's order; a unit that no device names covers all that the others do not. */
  readonly units: readonly { readonly name: string; readonly attributes: Attributes }[]
}

type Attributes = Readonly<Record<string, string>>

/** A root bus: "0000:00" and what sits on it. */
export interface BusForm {
  readonly bus: string
  /** IOMMU unit in charge of all of it; null = the unit of the rest. */
  readonly unit: string | null
  readonly devices: readonly DeviceForm[]
}

/** What is in one slot: a device of one function, or several functions. */
export interface DeviceForm extends FunctionForm {
  /** 0-31; null = the next free one. */
  readonly slot: number | null
  /** Functions by number; empty = the device is the one function described by the form itself. */
  readonly functions: readonly FunctionForm[]
}

export interface FunctionForm {
  /** Name of a template (hardware/devices/); null only where `functions` is not empty. */
  readonly kind: string | null
  /** Function number; null = the next one. */
  readonly function: number | null
  /** So many like this one, in successive slots or, within a device, under successive numbers. */
  readonly repeat: number
  /** On: implements what isolation needs. Off: has no ACS. Null: as the template has it. */
  readonly acs: boolean | null
  /** Other ids than the template's. */
  readonly ids: { readonly vendor: number; readonly device: number } | null
  /** Undefined = whoever matches, null = none. */
  readonly driver: string | null | undefined
  /** Drivers of the virtual functions enabled at boot, one each; undefined = whoever matches. */
  readonly virtualFunctions: readonly (string | null | undefined)[]
  /** TotalVFs of its SR-IOV capability; null = the template's. */
  readonly totalVfs: number | null
  readonly services: readonly { readonly class: string; readonly name: string }[]
  /** IOMMU unit in charge of it and all below; null = the unit of the rest. */
  readonly unit: string | null
  /** POWER: number of the partitionable endpoint of it and all below. */
  readonly partition: number | null
  /** Memory that firmware wants mapped for it. */
  readonly reserved: readonly ReservedForm[]
  readonly numaNode: number | null
  readonly below: readonly DeviceForm[]
}

export type ReservedForm = Omit<IommuDescription['reserved'][number], 'at'>
