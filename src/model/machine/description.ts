/**
 * A machine as data: everything the model needs to boot. The builder (builder.ts) makes it from a short
 * nested form, open/ makes it from a snapshot of a real host (its twin), what-if edits it.
 * Plain and JSON-printable.
 */
import type { HostUses } from './host-uses.ts'

export interface MachineDescription {
  /** "desktop" */
  readonly name: string
  /** One line for people. */
  readonly title: string
  /** As uname -r prints it: decides every rule that depends on the version. */
  readonly kernelRelease: string
  readonly commandLine: string
  readonly cpu: { readonly vendor: string; readonly flags: readonly string[] }
  readonly acpiTables: readonly string[]
  readonly memoryBytes: number
  readonly iommu: IommuDescription | null
  /** Hot plug is the firmware's (ACPI, acpiphp), as on QEMU's machines; absent: the kernel's (pciehp). */
  readonly firmwareHotPlug?: boolean
  /** Every function present at boot, bridges before what is below them. No virtual functions. */
  readonly functions: readonly FunctionDescription[]
  /** Root buses whose DMA a function issues (Intel VMD): { bus: "10000:e0", host: "0000:00:0e.0" }. */
  readonly hostedBuses: readonly { readonly bus: string; readonly host: string }[]
  /** Drivers that this machine has beside the ones every model knows (drivers/known.ts). */
  readonly drivers: readonly DriverDescription[]
  /** Names of the drivers that are loaded; absent = all that there are. */
  readonly loaded?: readonly string[]
  /** What the host does with its devices; absent = nothing is known of it, and none is shown. */
  readonly uses?: HostUses
  /** Names of ids, shown as the machine's pci.ids: { "8086": "Intel Corporation", "8086:10d3": "82574L" }. */
  readonly names: Readonly<Record<string, string>>
}

export interface IommuDescription {
  readonly kind: 'intel' | 'amd' | 'power' | 'gart'
  /** False: no interrupt remapping (intremap=off), so no MSI isolation. */
  readonly interruptRemapping: boolean
  readonly units: readonly UnitDescription[]
  /** Default domain: "DMA", "DMA-FQ", "identity". */
  readonly defaultDomain: 'DMA' | 'DMA-FQ' | 'identity'
  /** RMRRs and unity maps, by function. */
  readonly reserved: readonly {
    readonly at: string
    /** Inclusive, "0x..." */
    readonly start: string
    readonly end: string
    readonly kind: 'direct' | 'direct-relaxable' | 'reserved'
  }[]
  /** POWER: partitionable endpoints, the functions of each. */
  readonly partitions?: readonly { readonly pe: number; readonly functions: readonly string[] }[]
}

export interface UnitDescription {
  readonly name: string
  /** Files shown by the unit: { "cap": "d2008c40660462", "ecap": "f00f4a" }. Also read by the driver. */
  readonly attributes: Readonly<Record<string, string>>
  /** Functions in its scope (with all below them); null = all that no other unit covers. */
  readonly scope: readonly string[] | null
}

export interface FunctionDescription {
  /** "0000:01:00.0" */
  readonly at: string
  /** Bridge that leads to it; null on a root bus. */
  readonly parent: string | null
  /** Behaviour, by name of devices/: "edu", "nic", "nvme", "bridge", "generic". */
  readonly kind: string
  /** Power-on configuration space, lower-case hexadecimal, 256 or 4096 bytes. */
  readonly config: string
  readonly bars: readonly {
    readonly index: number
    readonly size: number
    readonly kind: 'mem32' | 'mem64' | 'io' | 'rom'
    readonly prefetchable: boolean
  }[]
  /** Reset methods in the kernel's order where known from a real host; absent = from the registers. */
  readonly resetMethods?: readonly string[]
  /** Driver that takes it at boot; null = none does. Absent = whoever matches. */
  readonly driver?: string | null
  /** Virtual functions enabled after boot, with the driver each of them has (absent = whoever matches). */
  readonly virtualFunctions?: readonly { readonly driver?: string | null }[]
  /** MSI-X vectors of each virtual function; absent = as many as its own. */
  readonly virtualVectors?: number
  /** Class devices its driver makes: { "class": "net", "name": "eth0" }. */
  readonly services?: readonly { readonly class: string; readonly name: string }[]
  readonly numaNode?: number
}

export interface DriverDescription {
  readonly name: string
  readonly module: string | null
  readonly managesDma: boolean
  /** Ids it takes. */
  readonly ids: readonly { readonly vendor: number; readonly device: number }[]
}
