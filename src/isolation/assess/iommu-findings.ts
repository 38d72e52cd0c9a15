/**
 * Is there an IOMMU, is it on, and if not, who turned it off: firmware, a kernel argument, a kernel
 * without the driver, or the lack of one in a virtual machine.
 *
 * Groups are the proof: the kernel makes them as soon as an IOMMU driver runs, and never without.
 */
import type { HostReadiness, HostSnapshot } from '../host.ts'
import { type KernelArgument, lastWith } from './kernel-arguments.ts'
import { finding, type HostFinding, listed } from './readiness.ts'

/** ACPI tables that describe IOMMUs, and whose. */
const TABLES: Readonly<Record<string, string>> = {
  DMAR: 'Intel VT-d',
  IVRS: 'AMD-Vi',
  IORT: 'ARM SMMU',
  VIOT: 'a virtual IOMMU',
}

const TABLE_PLACE = '/sys/firmware/acpi/tables'

export function iommuFindings(
  snapshot: HostSnapshot,
  readiness: HostReadiness,
  args: readonly KernelArgument[],
): readonly HostFinding[] {
  const found = [...firmware(snapshot, readiness)]
  const { groups } = snapshot
  if (!groups.known) {
    found.push(
      finding('HOST-IOMMU', 'unknown', {
        fact: 'whether the kernel made isolation groups is unknown',
        evidence: [`/sys/kernel/iommu_groups: ${groups.why}`],
        remedy: 'run isogroup on the host itself',
      }),
    )
  } else if (hasRealGroups(snapshot)) {
    found.push(isOn(snapshot), ...needlessOff(args))
  } else found.push(whyOff(snapshot, readiness, args))
  return found
}

/** Whether a group exists that is not one of those VFIO makes up without an IOMMU. */
export function hasRealGroups({ groups }: HostSnapshot): boolean {
  if (!groups.known) return false
  return groups.value.some(({ name }) => !name.known || name.value !== 'vfio-noiommu')
}

function firmware(snapshot: HostSnapshot, { acpiTables }: HostReadiness): HostFinding[] {
  if (!acpiTables.known) {
    return [
      finding('HOST-FIRMWARE', 'unknown', {
        fact: 'whether the firmware describes an IOMMU is unknown',
        evidence: [`${TABLE_PLACE}: ${acpiTables.why}`],
      }),
    ]
  }
  const table = tableIn(acpiTables.value)
  if (table !== null) {
    return [
      finding('HOST-FIRMWARE', 'ok', {
        fact: `the firmware describes ${TABLES[table] ?? 'an IOMMU'}`,
        evidence: [`${TABLE_PLACE}/${table}`],
      }),
    ]
  }
  if (!hasRealGroups(snapshot)) return []
  return [
    finding('HOST-FIRMWARE', 'info', {
      fact: 'no ACPI table describes an IOMMU; the kernel found one another way (device tree, virtio)',
      evidence: [`${TABLE_PLACE}: none of ${Object.keys(TABLES).join(', ')}`],
    }),
  ]
}

function tableIn(tables: readonly string[]): string | null {
  return tables.find((table) => table in TABLES) ?? null
}

function isOn({ groups, units }: HostSnapshot): HostFinding {
  const count = groups.known ? groups.value.length : 0
  const names = units.known ? units.value.map(({ name }) => name) : []
  const evidence = [`/sys/kernel/iommu_groups: ${String(count)} entries`]
  if (names.length > 0) evidence.push(`/sys/class/iommu: ${listed(names)}`)
  return finding('HOST-IOMMU', 'ok', {
    fact: `the IOMMU is on and the kernel made ${String(count)} ${count === 1 ? 'group' : 'groups'}`,
    evidence,
  })
}

interface Off {
  readonly argument: KernelArgument
  readonly option: string
}

/** The argument that turns the IOMMU off, if one does; later arguments win over earlier ones. */
function turnedOff(args: readonly KernelArgument[], tables: readonly string[] | null): Off | null {
  const generic = lastWith(args, 'iommu', ['off'])
  if (generic !== null) return generic
  const intel = lastWith(args, 'intel_iommu', ['off', 'on'])
  if (intel?.option === 'off' && tables?.includes('IVRS') !== true) return intel
  const amd = lastWith(args, 'amd_iommu', ['off'])
  return amd !== null && tables?.includes('DMAR') !== true ? amd : null
}

function needlessOff(args: readonly KernelArgument[]): HostFinding[] {
  const off = turnedOff(args, null) ?? lastWith(args, 'intel_iommu', ['igfx_off'])
  if (off === null) return []
  return [
    finding('HOST-ARG-OFF', 'info', {
      fact: `${off.argument.text} asks for less than a full IOMMU, yet groups exist`,
      evidence: [`/proc/cmdline: ${off.argument.text}`],
      remedy: 'remove it when devices lack groups',
    }),
  ]
}

const REBOOT =
  'on the kernel command line (for GRUB: /etc/default/grub, then update-grub) and reboot'

function whyOff(
  snapshot: HostSnapshot,
  readiness: HostReadiness,
  args: readonly KernelArgument[],
): HostFinding {
  const tables = readiness.acpiTables.known ? readiness.acpiTables.value : null
  const off = turnedOff(args, tables)
  if (off !== null) {
    return finding('HOST-IOMMU-ARGUMENT', 'problem', {
      fact: `the IOMMU is off because the kernel was told so: ${off.argument.text}`,
      evidence: [`/proc/cmdline: ${off.argument.text}`, NO_GROUPS],
      remedy: `remove ${off.option} from ${off.argument.name}= ${REBOOT}`,
    })
  }
  if (tables === null)
    return causeUnknown(readiness.acpiTables.known ? '' : readiness.acpiTables.why)
  const table = tableIn(tables)
  if (table === null) return withoutTable(readiness)
  if (!snapshot.commandLine.known) return causeUnknown(`/proc/cmdline: ${snapshot.commandLine.why}`)
  const on = lastWith(args, 'intel_iommu', ['on'])
  if (table === 'DMAR' && on === null) {
    return finding('HOST-IOMMU-ARGUMENT', 'problem', {
      fact: 'the firmware offers VT-d, but the kernel leaves it off unless it is told to use it',
      evidence: [`${TABLE_PLACE}/DMAR`, '/proc/cmdline: no intel_iommu=on', NO_GROUPS],
      remedy: `add intel_iommu=on ${REBOOT}`,
    })
  }
  return finding('HOST-IOMMU-DRIVER', 'problem', {
    fact: `the firmware describes ${TABLES[table] ?? 'an IOMMU'} and nothing turns it off, but the kernel does not drive it: its driver is not built in, or it rejected the firmware's tables`,
    evidence: [`${TABLE_PLACE}/${table}`, NO_GROUPS],
    remedy: LOOK_AT_LOG,
  })
}

const NO_GROUPS = '/sys/kernel/iommu_groups: empty'
const LOOK_AT_LOG = 'as root: dmesg | grep -i -e DMAR -e AMD-Vi -e IOMMU -e SMMU'

function causeUnknown(why: string): HostFinding {
  return finding('HOST-IOMMU', 'problem', {
    fact: 'the kernel made no isolation groups, so no IOMMU is in use; why could not be found out',
    evidence: [NO_GROUPS, ...(why === '' ? [] : [why])],
    remedy: LOOK_AT_LOG,
  })
}

/** How the makers' firmware setups call it, by processor vendor. */
const SETTING: Readonly<Record<string, string>> = {
  GenuineIntel: '"VT-d" or "Intel Virtualization Technology for Directed I/O"',
  AuthenticAMD: '"IOMMU" or "AMD I/O Virtualization" (set it to Enabled, not Auto)',
}

function withoutTable({ cpuFlags, cpuVendor, machine }: HostReadiness): HostFinding {
  const noTable = `${TABLE_PLACE}: none of ${Object.keys(TABLES).join(', ')}`
  if (cpuFlags.known && cpuFlags.value.includes('hypervisor')) {
    return finding('HOST-IOMMU-VM', 'problem', {
      fact: 'this is a virtual machine without a virtual IOMMU, so nothing isolates its devices',
      evidence: ['/proc/cpuinfo: flag hypervisor', noTable, NO_GROUPS],
      remedy:
        'give the virtual machine an IOMMU (QEMU: -device intel-iommu,intremap=on with kernel-irqchip=split; libvirt: <iommu model="intel">), or run isogroup on the real host',
    })
  }
  const isX86 = machine.known && /^(?:x86_64|i[3-6]86)$/.test(machine.value)
  if (!isX86 || !cpuFlags.known) {
    return causeUnknown(
      isX86 ? `${noTable}; whether this is a virtual machine is unknown` : noTable,
    )
  }
  const setting = cpuVendor.known ? SETTING[cpuVendor.value] : undefined
  return finding('HOST-IOMMU-FIRMWARE', 'problem', {
    fact: 'the firmware describes no IOMMU: it is switched off there, or this machine has none',
    evidence: [noTable, NO_GROUPS],
    remedy: `in the firmware setup switch on ${setting ?? '"VT-d" (Intel) or "IOMMU" (AMD)'}, then reboot`,
  })
}
