/**
 * The Host port of a host that can be changed: the running one, or a model. All changes are actions;
 * everything else is looking.
 */
import type { Fact } from '../base/fact.ts'
import type { Host } from './host.ts'
import type { Action } from './transaction/action.ts'
import type { GroupState, NodeState } from './transaction/state.ts'

export interface LiveHost extends Host {
  /** What a person should read about where this comes from: "this host". Known without a look. */
  readonly source: string
  /**
   * The present state of some functions and of the node of their group, read anew.
   * @throws IsogroupError when something that must be known cannot be read
   */
  state(addresses: readonly string[]): GroupState
  /** Actions are about to come: what they need is started now, beside whatever is done first. */
  expectActions(): void
  /**
   * Carries one action out, with one write. The caller verifies by reading `state` again.
   * @param deadline milliseconds
   * @throws ActionError errno; "ETIMEDOUT": it may still happen later, and must not be repeated
   */
  perform(action: Action, deadline: number): Promise<void>
  /** What `perform` would write, in order: for --dry-run and for evidence. */
  writesOf(action: Action): readonly Write[]
  /** What the host does with these functions now: for the safety checks. */
  usage(addresses: readonly string[], programs: Programs): readonly DeviceUsage[]
  /**
   * The groups that these functions are in now, with all their functions and drivers, from links, and their nodes: so it
   * never waits for the lock of a device, whatever hangs. Functions that are gone or in no group are left out.
   * @throws IsogroupError permission, io
   */
  groupsOf(addresses: readonly string[]): readonly LiveGroup[]
  /** Looks at the open files of all programs, once: on a busy host that is the longest of all looks. */
  programs(): Programs
  /** Programs that have address spaces for devices open, and of which groups. Unknown unless root. */
  contexts(): Fact<readonly ContextUse[]>
  /**
   * How much memory a user may lock, in bytes (null = unlimited): the most that a running program of that
   * user may. Unknown when none runs or it cannot be read.
   */
  memlock(uid: number): Fact<number | null>
  /** What a hanging unbind can be blamed on: holders, and the kernel stacks of stuck writers. */
  stuckEvidence(address: string): readonly string[]
  /** Lasting facts that say which device it is, apart from its address. */
  identities(addresses: readonly string[]): readonly DeviceIdentity[]
  /** Loads the module of a driver when it is absent. @throws ActionError is not used: IsogroupError "refused" */
  loadDriver(driver: string): Promise<void>
  /** Whether the driver is registered on the PCI bus now. */
  hasDriver(driver: string): boolean
  /** Users and groups of the host, for owners given by name. */
  accounts(): Accounts
  /** Differs between boots: records of another boot are history. */
  bootId(): string
  /** Devices that came, went or changed, from now on. Hints only: look again. */
  watch(): DeviceWatch
}

export interface LiveGroup {
  /** Id of the group now. */
  readonly group: string
  /** All its PCI functions, bridges too, by address. */
  readonly members: readonly LiveMember[]
  /** Owner and mode of /dev/vfio/GROUP; null: there is none. */
  readonly node: NodeState | null
}

export interface LiveMember {
  readonly address: string
  /** Name of the bound driver. */
  readonly driver: string | null
}

export interface Accounts {
  readonly users: Fact<readonly Account[]>
  readonly groups: Fact<readonly AccountGroup[]>
}

export interface Account {
  readonly name: string
  readonly uid: number
  /** The user's main group. */
  readonly gid: number
}

export interface AccountGroup {
  readonly name: string
  readonly gid: number
}

export interface Write {
  /** "/sys/bus/pci/devices/0000:01:00.0/driver_override"; for nodes "/dev/vfio/13". */
  readonly path: string
  /** The bytes as text ("vfio-pci\n"), or "chown 1000:1000", "chmod 600". */
  readonly text: string
}

export interface DeviceWatch extends AsyncIterable<DeviceChange> {
  close(): Promise<void>
}

/** One uevent of a PCI function, or the news that events were lost ("lost": look at everything). */
export interface DeviceChange {
  readonly action: 'add' | 'remove' | 'bind' | 'unbind' | 'change' | 'move' | 'lost'
  /** "" for "lost". */
  readonly address: string
}

export interface DeviceIdentity {
  readonly address: string
  /** "10de:1b80 1462:3362 030000": ids, subsystem, class. */
  readonly ids: string
  /** Slots from the root bus down, without bus numbers: "00/01.0/00.0". Stable when buses are renumbered. */
  readonly path: string
}

/** Who has what open, from one look. Unknown unless root. */
export interface Programs {
  /** Those that have the group's node or a device of it open. */
  readonly usersOf: (group: string) => Fact<readonly Program[]>
  /** A function that gives those with device files of one of these functions open. */
  readonly holdersOf: (
    addresses: readonly string[],
  ) => (address: string) => Fact<readonly Program[]>
}

export interface Program {
  readonly pid: number
  /** "qemu-system-x86" */
  readonly name: string
  readonly uid: number
  /** What it has open: "/dev/vfio/13", "/dev/dri/card0". */
  readonly file: string
}

/** A program that uses devices through VFIO containers. */
export interface ContextUse extends Omit<Program, 'file'> {
  /** How often it has a container open. With one, all its groups share it. */
  readonly containers: number
  readonly groups: readonly {
    readonly group: string
    /** Addresses of its PCI functions. */
    readonly members: readonly string[]
  }[]
  /** Bytes that it has locked. */
  readonly locked: Fact<number>
}

/** Everything the host does with one function: each list is a fact of its own, so unknown stays unknown. */
export interface DeviceUsage {
  readonly address: string
  readonly disks: Fact<readonly DiskUse[]>
  readonly networks: Fact<readonly NetworkUse[]>
  /** Screens: boot display and framebuffers. */
  readonly displays: Fact<readonly DisplayUse[]>
  /** Keyboards behind this function ("event3"), and how many there are on the whole host. */
  readonly keyboards: Fact<KeyboardUse>
  /**
   * Ways to log in besides screen and keyboard, behind this function and on the rest of the host: network
   * interfaces with an address while an SSH server listens, and serial consoles.
   */
  readonly logins: Fact<LoginUse>
  /** Programs with device files of this function open. */
  readonly programs: Fact<readonly Program[]>
  /** Enabled virtual functions by address; empty for functions without. */
  readonly virtualFunctions: Fact<readonly string[]>
}

export interface DiskUse {
  /** "nvme0n1", "sda2" */
  readonly name: string
  /**
   * `mount`: mounted there; `root` / `boot`: it holds / or /boot (or /boot/efi, /usr); `swap`; `holder`: LVM, MD, dm, LUKS
   * or bcache on top, by name; `zfs`: member of an imported pool; `open`: opened exclusively by something unseen.
   */
  readonly use: 'mount' | 'root' | 'boot' | 'swap' | 'holder' | 'zfs' | 'open'
  /** Mount point, name of the holder, name of the pool. */
  readonly detail: string
}

export interface NetworkUse {
  /** "eth0" */
  readonly name: string
  /** `address`: has addresses; `route`: routes go through it; `default`: the default route does; `login`: carries the SSH session of the caller; `port`: it carries a bridge, bond or vlan; `up`: is up, no more. */
  readonly use: 'address' | 'route' | 'default' | 'login' | 'port' | 'up'
  readonly detail: string
}

export interface DisplayUse {
  readonly use: 'boot-display' | 'framebuffer' | 'console'
  readonly name: string
}

/** By name, "eth0", "ttyS0"; both empty when there is no such way. */
export interface LoginUse {
  readonly here: readonly string[]
  readonly elsewhere: readonly string[]
}

export interface KeyboardUse {
  readonly here: readonly string[]
  readonly elsewhere: readonly string[]
}
