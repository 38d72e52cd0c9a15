/**
 * The Host port: what isolation needs from any machine, whoever provides it.
 *
 * A HostSnapshot is plain, JSON-printable data, read once and never changed. linux/ reads it through
 * the Kernel port, lspci/ makes it from pasted text. Nothing here knows a path or a clock.
 */
import type { Fact } from '../base/fact.ts'
import type { ConfigFacts } from '../pci/config-facts.ts'

export interface Host {
  /** What grouping, strength and viability need, of every device. */
  snapshot(): HostSnapshot
  /** More about some functions: what the host uses them for, power, NUMA node, reset methods. */
  details(addresses: readonly string[]): readonly DeviceDetails[]
  /** What decides whether this host can hand devices to users at all. */
  readiness(): HostReadiness
}

export interface HostSnapshot {
  /** What was looked at, for a person: "this host", "capture desk.isocap", "lspci text board.txt". */
  readonly source: string
  /** Kernel release as uname -r prints it: "6.12.117+deb12-amd64". */
  readonly kernelRelease: Fact<string>
  readonly commandLine: Fact<string>
  /** Every PCI function, ordered by address. */
  readonly functions: readonly PciFunction[]
  /** Root buses that hang below a PCI function instead of a host bridge (Intel VMD). */
  readonly hostedBuses: readonly HostedBus[]
  /** The kernel's own groups, ordered by id; known and empty when the kernel made none. */
  readonly groups: Fact<readonly HostGroup[]>
  /** Devices in groups that are not PCI functions: platform, ACPI, ... */
  readonly otherDevices: readonly OtherDevice[]
  readonly units: Fact<readonly IommuUnit[]>
  /** Interrupt chip names in use, without repeats: "IR-PCI-MSIX-0000:01:00.0", "IO-APIC", "DMAR-MSI". */
  readonly interruptChips: Fact<readonly string[]>
  readonly vfio: VfioFacts
}

export interface PciFunction {
  /** "0000:01:00.0" */
  readonly address: string
  /**
   * Address of the bridge (or, for virtual functions on a bus of their own, of the bridge above the
   * physical function's bus) that leads to this function's bus; null on a root bus.
   */
  readonly parent: string | null
  /** 16-bit ids; a virtual function has its physical function's vendor. */
  readonly vendor: Fact<number>
  readonly device: Fact<number>
  /** Base class, sub-class, programming interface: 0x010802. */
  readonly classCode: Fact<number>
  readonly revision: Fact<number>
  readonly subsystem: Fact<PciIds | null>
  /** "Samsung Electronics Co Ltd NVMe SSD Controller PM9A1", where a name is known. */
  readonly name: string | null
  /** "Non-Volatile memory controller", where a name is known. */
  readonly className: string | null
  /** Name of the bound driver; null when none is bound. */
  readonly driver: Fact<string | null>
  /** The physical function of a virtual function; null when it is no virtual function. */
  readonly physicalFunction: Fact<string | null>
  /** Group id; null when the kernel gave it none. */
  readonly group: Fact<string | null>
  readonly config: ConfigFacts
  /** The kernel's usable reset methods in order: "flr", "pm", "bus"; empty when it cannot be reset. */
  readonly resetMethods: Fact<readonly string[]>
}

export interface PciIds {
  readonly vendor: number
  readonly device: number
}

/** A root bus behind a PCI function: the VMD endpoint issues the DMA of all below it. */
export interface HostedBus {
  /** "10000:e0" */
  readonly bus: string
  readonly host: string
}

export interface HostGroup {
  /** A number as text; never an identity: it changes between boots. */
  readonly id: string
  /** Device names as the kernel links them: PCI addresses and others, ordered. */
  readonly members: readonly string[]
  /** Default domain: "DMA", "DMA-FQ", "identity", "blocked", "unmanaged", "unknown". */
  readonly type: Fact<string>
  /** Set by few IOMMU drivers ("domain0-pe1") and for groups without an IOMMU ("vfio-noiommu"). */
  readonly name: Fact<string | null>
  readonly reserved: Fact<readonly ReservedRegion[]>
}

export interface ReservedRegion {
  /** Inclusive, lower-case hexadecimal with 0x and 16 digits, as the kernel prints it. */
  readonly start: string
  readonly end: string
  /** "direct", "direct-relaxable", "reserved", "msi" */
  readonly kind: string
}

export interface OtherDevice {
  readonly name: string
  /** "platform", "acpi", ...: the bus by its sysfs name. */
  readonly bus: Fact<string>
  readonly driver: Fact<string | null>
  readonly group: string
}

export interface IommuUnit {
  /** "dmar0", "ivhd0", "virtio-iommu..." */
  readonly name: string
  readonly kind: 'intel' | 'amd' | 'other'
  /** Attribute files of the unit, trimmed: { "cap": "d2008c40660462", "ecap": "f00f4a" }. */
  readonly attributes: Readonly<Record<string, string>>
}

export interface VfioFacts {
  /** Loaded modules of the VFIO family and vfio-like drivers: ["vfio", "vfio_pci", ...]. */
  readonly modules: Fact<readonly string[]>
  /** Parameters by "module.name": { "vfio_iommu_type1.allow_unsafe_interrupts": "N" }. */
  readonly parameters: Readonly<Record<string, string>>
  /** Names under /dev/vfio: ["vfio", "13", "noiommu-2"]. */
  readonly nodes: Fact<readonly string[]>
}

/** What the host does with a function now. */
export interface HostService {
  readonly kind:
    | 'net'
    | 'block'
    | 'nvme'
    | 'drm'
    | 'framebuffer'
    | 'input'
    | 'sound'
    | 'infiniband'
    | 'tty'
    | 'other'
  /** "eth0", "nvme0n1", "card0" */
  readonly name: string
}

export interface DeviceDetails {
  readonly address: string
  readonly services: Fact<readonly HostService[]>
  readonly driverOverride: Fact<string | null>
  readonly numaNode: Fact<number | null>
  readonly powerState: Fact<string>
  readonly runtimeStatus: Fact<string>
  /** IOMMU unit that translates the function; null when none does. */
  readonly unit: Fact<string | null>
  readonly sriov: Fact<SriovState | null>
  /** Config space as far as it can be read, lower-case hexadecimal. */
  readonly configHex: Fact<string>
}

export interface SriovState {
  readonly totalVfs: number
  readonly numVfs: number
  /** Whether new virtual functions are offered to drivers (sriov_drivers_autoprobe). */
  readonly autoprobe: boolean
  readonly virtualFunctions: readonly string[]
}

export interface HostReadiness {
  /** Signatures of ACPI tables present: ["APIC", "DMAR", ...]. */
  readonly acpiTables: Fact<readonly string[]>
  /** "GenuineIntel", "AuthenticAMD", ... */
  readonly cpuVendor: Fact<string>
  /** Flags that matter here: "vmx", "svm", "hypervisor". */
  readonly cpuFlags: Fact<readonly string[]>
  /** "x86_64", "aarch64" */
  readonly machine: Fact<string>
  /** Effective user id of the caller. */
  readonly uid: Fact<number>
  /** RLIMIT_MEMLOCK soft limit of the caller in bytes; null = unlimited. */
  readonly memlock: Fact<number | null>
  /** Total memory in bytes. */
  readonly memory: Fact<number>
  /** Whether the caller has CAP_IPC_LOCK (then memlock does not bind). */
  readonly mayLockMemory: Fact<boolean>
  /** Whether the file system namespace shows vfio modules as built or available. */
  readonly vfioPciAvailable: Fact<boolean>
}
