/**
 * The catalogue of what can speak against a claim. Codes are stable: people write them behind `--allow` and
 * search for them. docs/reference/findings.md lists the same ones, and a test holds the two together.
 *
 * Three things can never be allowed away: losing data, losing the last way into the host, and what the
 * kernel refuses anyway. Of everything else a person may say, code by code, that it is meant.
 */

export type SafetyVerdict = 'refuse' | 'warn' | 'unknown'

export interface SafetyKind {
  /** The verdicts it can have. */
  readonly verdicts: readonly SafetyVerdict[]
  /** Whether `--allow` may override it where it refuses. */
  readonly overridable: boolean
  readonly meaning: string
  /** What to do in general; a finding's own remedy names the device and the command. */
  readonly remedy: string
}

export type SafetyCode =
  | 'CLAIM-ROOT-DISK'
  | 'CLAIM-MOUNTED'
  | 'CLAIM-SWAP'
  | 'CLAIM-HOLDER'
  | 'CLAIM-UNKNOWN-DISKS'
  | 'CLAIM-LOGIN'
  | 'CLAIM-ROUTE'
  | 'CLAIM-PORT'
  | 'CLAIM-LINK'
  | 'CLAIM-UNKNOWN-NETWORKS'
  | 'CLAIM-DISPLAY'
  | 'CLAIM-FRAMEBUFFER'
  | 'CLAIM-UNKNOWN-DISPLAYS'
  | 'CLAIM-KEYBOARD'
  | 'CLAIM-UNKNOWN-KEYBOARDS'
  | 'CLAIM-WAY-BACK'
  | 'CLAIM-OPEN'
  | 'CLAIM-UNKNOWN-PROGRAMS'
  | 'CLAIM-VFS'
  | 'CLAIM-UNKNOWN-VFS'
  | 'CLAIM-CHIPSET'
  | 'CLAIM-BRIDGE'
  | 'CLAIM-BRIDGES-ONLY'
  | 'CLAIM-OTHER'
  | 'CLAIM-UNKNOWN-MEMBER'
  | 'CLAIM-UNKNOWN-DRIVER'
  | 'CLAIM-FOREIGN'
  | 'CLAIM-CLAIMED'
  | 'CLAIM-OWNED'
  | 'CLAIM-UNKNOWN-USERS'
  | 'CLAIM-NO-GROUP'
  | 'CLAIM-RMRR'
  | 'CLAIM-UNKNOWN-RMRR'
  | 'CLAIM-STRENGTH-TRANSLATION'
  | 'CLAIM-STRENGTH-DMA'
  | 'CLAIM-STRENGTH-P2P'
  | 'CLAIM-STRENGTH-MSI'
  | 'CLAIM-UNKNOWN-TRANSLATION'
  | 'CLAIM-UNKNOWN-DMA'
  | 'CLAIM-UNKNOWN-P2P'
  | 'CLAIM-UNKNOWN-MSI'
  | 'CLAIM-MEMLOCK'
  | 'CLAIM-DRIVER'
  | 'CLAIM-NOT-VFIO'
  | 'CLAIM-ALLOW'

const REFUSES: readonly SafetyVerdict[] = ['refuse']
const UNKNOWN: readonly SafetyVerdict[] = ['unknown']

function never(verdicts: readonly SafetyVerdict[], meaning: string, remedy: string): SafetyKind {
  return { verdicts, overridable: false, meaning, remedy }
}

function allowable(
  verdicts: readonly SafetyVerdict[],
  meaning: string,
  remedy: string,
): SafetyKind {
  return { verdicts, overridable: true, meaning, remedy }
}

const AS_ROOT = 'run as root, on the host itself'

/** In the order in which findings of a member are listed. */
export const SAFETY_FINDINGS: Readonly<Record<SafetyCode, SafetyKind>> = {
  'CLAIM-ROOT-DISK': never(
    REFUSES,
    'the host runs from a disk of the member: it holds /, /usr, /boot or /boot/efi',
    'claim another device; the host cannot do without this one',
  ),
  'CLAIM-MOUNTED': never(
    REFUSES,
    'a file system on a disk of the member is mounted, here or where the caller cannot see it',
    'umount it',
  ),
  'CLAIM-SWAP': never(REFUSES, 'the host swaps to a disk of the member', '`swapoff` it'),
  'CLAIM-HOLDER': never(
    REFUSES,
    'a disk of the member carries LVM, RAID, encryption, bcache or a ZFS pool that is in use',
    'deactivate what is on it: `vgchange -an`, `mdadm --stop`, `cryptsetup close`, `zpool export`',
  ),
  'CLAIM-UNKNOWN-DISKS': never(
    UNKNOWN,
    'whether the host uses disks of the member could not be found out',
    AS_ROOT,
  ),
  'CLAIM-LOGIN': never(
    REFUSES,
    'the connection by which the caller is logged in goes through the member',
    'log in another way, at the console or over another network card',
  ),
  'CLAIM-ROUTE': allowable(
    REFUSES,
    'a network interface of the member has addresses or routes',
    'take its addresses away: `ip address flush dev NAME`',
  ),
  'CLAIM-PORT': allowable(
    REFUSES,
    'a network interface of the member carries a bridge, a bond or a VLAN',
    'take it out: `ip link set NAME nomaster`',
  ),
  'CLAIM-LINK': allowable(
    ['warn'],
    'a network interface of the member is up',
    '`ip link set NAME down`',
  ),
  'CLAIM-UNKNOWN-NETWORKS': never(
    UNKNOWN,
    "whether the member carries the host's network could not be found out",
    `${AS_ROOT}, in the network namespace of its interface; or take the card off its driver first`,
  ),
  'CLAIM-DISPLAY': allowable(
    REFUSES,
    'the member is the screen that the firmware started, or shows the text console',
    'make another graphics card the primary one in the firmware setup',
  ),
  'CLAIM-FRAMEBUFFER': allowable(
    REFUSES,
    "the kernel draws in the member's memory through the firmware's framebuffer, which no driver gives back",
    'boot with `video=efifb:off` or `initcall_blacklist=sysfb_init`, or bind its own driver first',
  ),
  'CLAIM-UNKNOWN-DISPLAYS': allowable(
    UNKNOWN,
    'whether the member shows the screen of the host could not be found out',
    AS_ROOT,
  ),
  'CLAIM-KEYBOARD': allowable(
    REFUSES,
    'the last keyboards of the host are behind members',
    'plug a keyboard into another controller',
  ),
  'CLAIM-UNKNOWN-KEYBOARDS': allowable(
    UNKNOWN,
    'whether the last keyboard is behind the member could not be found out',
    AS_ROOT,
  ),
  'CLAIM-WAY-BACK': never(
    ['refuse', 'unknown'],
    'screen or keyboard would go, and no network login or serial console would be left to undo it',
    'start an SSH server on an interface that stays, or claim with `--confirm SECONDS`',
  ),
  'CLAIM-OPEN': allowable(
    ['refuse', 'warn'],
    "programs have files of the member's driver open; taking the driver away may wait for them",
    'end these programs',
  ),
  'CLAIM-UNKNOWN-PROGRAMS': allowable(
    UNKNOWN,
    "whether programs have files of the member's driver open could not be found out",
    AS_ROOT,
  ),
  'CLAIM-VFS': never(
    REFUSES,
    'the member has virtual functions switched on: VFIO drivers refuse it, and they would vanish',
    'claim the virtual functions, or switch them off: `echo 0 > .../sriov_numvfs`',
  ),
  'CLAIM-UNKNOWN-VFS': never(
    UNKNOWN,
    'whether the member has virtual functions switched on could not be found out',
    AS_ROOT,
  ),
  'CLAIM-CHIPSET': allowable(
    REFUSES,
    'the member is a part of the chipset on a driver of the host; firmware and kernel may need it unseen',
    'put the wanted device into another slot; `isogroup explain` names what would separate it',
  ),
  'CLAIM-BRIDGE': never(
    REFUSES,
    'a bridge of the group is on a driver that keeps users out; bridges are never moved',
    'unbind the bridge from that driver, or keep the driver from loading',
  ),
  'CLAIM-BRIDGES-ONLY': never(
    REFUSES,
    'the group has nothing that could be given to a user',
    'name a device behind the bridge',
  ),
  'CLAIM-OTHER': never(
    REFUSES,
    'a device of the group is no PCI function and on a driver of the host',
    'unbind it by hand',
  ),
  'CLAIM-UNKNOWN-MEMBER': never(
    UNKNOWN,
    'the group lists a device that was not found',
    'try again: the host changed while it was read',
  ),
  'CLAIM-UNKNOWN-DRIVER': never(
    UNKNOWN,
    'the driver of a member is unknown, or may or may not keep users out',
    'run as root; bind the device to a driver that is known',
  ),
  'CLAIM-FOREIGN': allowable(
    ['warn'],
    'a member is on a VFIO driver already, but by no claim: release will leave it there',
    'none',
  ),
  'CLAIM-CLAIMED': never(
    ['refuse', 'warn'],
    'an earlier claim holds members of the group: a warning when it is the same claim again',
    '`isogroup release ID`',
  ),
  'CLAIM-OWNED': never(
    ['refuse', 'warn'],
    'a program has the group or a device of it open: a warning when nothing needs to be done',
    'end the program, usually a virtual machine',
  ),
  'CLAIM-UNKNOWN-USERS': never(
    UNKNOWN,
    'whether a program has the group open could not be found out',
    AS_ROOT,
  ),
  'CLAIM-NO-GROUP': never(
    ['refuse', 'unknown'],
    'a target is in no group: nothing isolates it',
    '`isogroup doctor` tells what to switch on',
  ),
  'CLAIM-RMRR': never(
    REFUSES,
    'firmware demands fixed memory mappings for the group (RMRR, IVMD): VFIO refuses it',
    "a firmware setting or update from the machine's vendor",
  ),
  'CLAIM-UNKNOWN-RMRR': never(
    UNKNOWN,
    'whether firmware demands fixed memory mappings for the group could not be found out',
    AS_ROOT,
  ),
  'CLAIM-STRENGTH-TRANSLATION': never(
    REFUSES,
    "the group's DMA is not translated: its user could read and write all memory",
    'switch the IOMMU on; `isogroup doctor`',
  ),
  'CLAIM-STRENGTH-DMA': never(
    REFUSES,
    'the group has no address space of its own',
    'switch the IOMMU on; `isogroup doctor`',
  ),
  'CLAIM-STRENGTH-P2P': allowable(
    REFUSES,
    'members can reach devices of other groups past the IOMMU',
    'claim those groups too, for the same owner; `isogroup explain` names the port',
  ),
  'CLAIM-STRENGTH-MSI': allowable(
    REFUSES,
    'interrupts are not remapped: members can forge the interrupts of others',
    'switch interrupt remapping on; `isogroup doctor`',
  ),
  'CLAIM-UNKNOWN-TRANSLATION': never(
    UNKNOWN,
    "whether the group's DMA is translated could not be found out",
    AS_ROOT,
  ),
  'CLAIM-UNKNOWN-DMA': never(
    UNKNOWN,
    'whether the group has an address space of its own could not be found out',
    AS_ROOT,
  ),
  'CLAIM-UNKNOWN-P2P': allowable(
    UNKNOWN,
    'whether members can reach devices of other groups could not be found out',
    AS_ROOT,
  ),
  'CLAIM-UNKNOWN-MSI': allowable(
    UNKNOWN,
    'whether interrupts are remapped could not be found out',
    AS_ROOT,
  ),
  'CLAIM-MEMLOCK': allowable(
    ['warn'],
    'the owner may lock little memory, or how much is unknown: a guest locks all of its memory',
    'raise RLIMIT_MEMLOCK of the owner',
  ),
  'CLAIM-DRIVER': never(
    ['refuse', 'warn'],
    'the driver is not there: a warning when loading its module will be tried, refused when there is none',
    'a kernel with the driver: `modprobe vfio-pci`',
  ),
  'CLAIM-NOT-VFIO': never(
    ['refuse', 'unknown'],
    'the driver asked for gives devices to no user',
    '`--driver vfio-pci`',
  ),
  'CLAIM-ALLOW': never(
    ['refuse', 'warn'],
    'a code behind --allow is none of these, or can never be allowed (a warning while it is not met)',
    'codes that can be allowed are marked in docs/reference/findings.md',
  ),
}

/** The code for a text from a command line; null when there is no such code. */
export function safetyCode(text: string): SafetyCode | null {
  return Object.hasOwn(SAFETY_FINDINGS, text) ? (text as SafetyCode) : null
}
