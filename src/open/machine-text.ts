/**
 * The form of machines for programs: what `machines/*.json` hold (model-file.ts explains every member and
 * checks it), with types, and without the members that only files need.
 */

/** A machine: what is plugged in where, and which IOMMU it has. */
export interface MachineText {
  /** Absent: "machine". */
  readonly name?: string
  readonly title?: string
  /** As uname -r prints it; decides every rule that depends on the version. Absent: 6.12. */
  readonly kernel?: string
  readonly commandLine?: string
  /** "16 GiB" */
  readonly memory?: string
  /** Absent or null: no IOMMU. */
  readonly iommu?: IommuText | null
  /** Root buses, usually one. */
  readonly buses: readonly { readonly bus?: string; readonly devices: readonly DeviceText[] }[]
  /** What the host does with its devices. Absent: nothing that shows. */
  readonly uses?: UsesText
}

/** A line of words for each use; host-uses-file.ts explains them. */
export interface UsesText {
  /** "nvme0n1p2 / ext4" */
  readonly mounts?: readonly string[]
  /** "nvme0n1p3" */
  readonly swaps?: readonly string[]
  /** "dm-0 vg-root nvme0n1p2" */
  readonly holders?: readonly string[]
  /** "eth0 192.168.1.10/24 192.168.1.1" */
  readonly interfaces?: readonly string[]
  /** "br0 eth0" */
  readonly bridges?: readonly string[]
  /** An SSH server listens; who is logged in: "192.168.1.20". */
  readonly ssh?: readonly string[]
}

export interface IommuText {
  /** VT-d, AMD-Vi, POWER, or a GART that translates without isolating. */
  readonly kind: 'intel' | 'amd' | 'power' | 'gart'
  /** Absent: true, except for a GART. */
  readonly interruptRemapping?: boolean
  /** What kernel drivers get. Absent: "DMA-FQ". */
  readonly defaultDomain?: 'DMA' | 'DMA-FQ' | 'identity'
}

/** What is in a slot: one function, or several. */
export type DeviceText =
  | (FunctionText & { readonly slot?: string })
  | { readonly slot?: string; readonly functions: readonly FunctionText[] }

export interface FunctionText {
  /** "root-port", "nic", "nvme", "edu", ...: `deviceKinds()` lists them. */
  readonly kind: string
  /** Function number 0-7; the next free one. */
  readonly function?: number
  /** So many of these, in successive slots. */
  readonly repeat?: number
  /** Whether it has Access Control Services; as the kind has it. */
  readonly acs?: boolean
  /** Driver that has it after boot, null for none; whoever matches. */
  readonly driver?: string | null
  /** How many virtual functions are enabled, or a driver for each. */
  readonly virtualFunctions?: number | readonly (string | null)[]
  /** What its driver makes of it: "net eth0". */
  readonly services?: readonly string[]
  /** Memory that firmware wants mapped for it. Addresses as "0x000e0000", the end included. */
  readonly reserved?: readonly {
    readonly start: string
    readonly end: string
    readonly kind: 'direct' | 'direct-relaxable' | 'reserved'
  }[]
  /** POWER: partitionable endpoint of it and all below. */
  readonly partition?: number
  /** Behind a bridge or port. */
  readonly below?: readonly DeviceText[]
}
