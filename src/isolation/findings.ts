/**
 * The catalogue of findings: every code that isogroup can give, with what it means and what to do.
 *
 * Codes are stable: scripts and people search for them. docs/reference/findings.md lists the same
 * ones, and a test holds the two together. HOST-* are about the host, GRP-* about groups.
 */
import type { Severity } from '../base/finding.ts'

export interface FindingKind {
  /** The severities it can have, the mildest first. */
  readonly severities: readonly Severity[]
  readonly meaning: string
  /** What to do in general; a finding's own remedy names the device and the command. */
  readonly remedy: string
}

export type FindingCode =
  | 'HOST-FIRMWARE'
  | 'HOST-KERNEL'
  | 'HOST-ARGUMENTS'
  | 'HOST-ARG-ACS'
  | 'HOST-ARG-OFF'
  | 'HOST-ARG-NOSID'
  | 'HOST-ARG-PASSTHROUGH'
  | 'HOST-ARG-STRICT'
  | 'HOST-ARG-SOFT'
  | 'HOST-ARG-VFIO-IDS'
  | 'HOST-IOMMU'
  | 'HOST-IOMMU-ARGUMENT'
  | 'HOST-IOMMU-DRIVER'
  | 'HOST-IOMMU-FIRMWARE'
  | 'HOST-IOMMU-VM'
  | 'HOST-INTREMAP'
  | 'HOST-UNSAFE-INTERRUPTS'
  | 'HOST-VFIO-PCI'
  | 'HOST-VFIO-TYPE1'
  | 'HOST-VFIO-NODE'
  | 'HOST-NOIOMMU'
  | 'HOST-MEMLOCK'
  | 'HOST-DMA-ENTRIES'
  | 'HOST-NO-PCI'
  | 'HOST-CONTAINER'
  | 'HOST-REGISTERS'
  | 'HOST-UNGROUPED'
  | 'HOST-UNGROUPED-NORMAL'
  | 'HOST-RMRR'
  | 'GRP-OVERRIDE'
  | 'GRP-SWITCH-PEER'
  | 'GRP-HOTPLUG-SPLIT'
  | 'GRP-ALIAS-TABLE'
  | 'GRP-DAMAGED'

export const FINDINGS: Readonly<Record<FindingCode, FindingKind>> = {
  'HOST-FIRMWARE': {
    severities: ['ok', 'info', 'unknown'],
    meaning: 'whether the firmware describes an IOMMU (ACPI table DMAR, IVRS, IORT or VIOT)',
    remedy: 'none',
  },
  'HOST-KERNEL': {
    severities: ['ok', 'warning', 'unknown'],
    meaning:
      'whether the kernel is at least 5.19, since when it refuses to bind a host driver in a group that a user holds',
    remedy: 'a newer kernel; `--kernel VERSION` where the version is unknown',
  },
  'HOST-ARGUMENTS': {
    severities: ['ok', 'unknown'],
    meaning: 'whether the kernel command line holds arguments that bear on isolation',
    remedy: 'read /proc/cmdline on the host',
  },
  'HOST-ARG-ACS': {
    severities: ['warning'],
    meaning: 'a kernel argument changes ACS bits, and with them groups and peer traffic',
    remedy: 'remove it unless the change is meant',
  },
  'HOST-ARG-OFF': {
    severities: ['info'],
    meaning: 'a kernel argument asks for no IOMMU, or for none for graphics, yet groups exist',
    remedy: 'remove the argument when devices lack groups',
  },
  'HOST-ARG-NOSID': {
    severities: ['warning'],
    meaning: 'intremap=nosid: who sends an interrupt is not checked, so devices can forge them',
    remedy: 'remove nosid from the kernel command line',
  },
  'HOST-ARG-PASSTHROUGH': {
    severities: ['info'],
    meaning: "the host's own drivers bypass translation; groups handed to users are not affected",
    remedy: 'none',
  },
  'HOST-ARG-STRICT': {
    severities: ['info'],
    meaning: 'an argument chooses when the kernel flushes unmapped addresses of its own drivers',
    remedy: 'none',
  },
  'HOST-ARG-SOFT': {
    severities: ['info'],
    meaning: 'iommu=soft: kernel drivers copy through bounce buffers; it does not isolate',
    remedy: 'remove it, unless a driver needs it',
  },
  'HOST-ARG-VFIO-IDS': {
    severities: ['info', 'warning'],
    meaning:
      'vfio-pci takes every device with these ids at boot; a warning when one id names several',
    remedy: 'choose single devices by driver_override instead of ids',
  },
  'HOST-IOMMU': {
    severities: ['ok', 'problem', 'unknown'],
    meaning:
      'whether the kernel made isolation groups; a problem when it did not and no cause was found',
    remedy:
      'the kernel log (dmesg as root, lines with DMAR, IOMMU or AMD-Vi) shows what the kernel found',
  },
  'HOST-IOMMU-ARGUMENT': {
    severities: ['problem'],
    meaning:
      'no groups, because an argument turns the IOMMU off or the one that turns it on is missing',
    remedy: 'change the kernel command line and reboot',
  },
  'HOST-IOMMU-DRIVER': {
    severities: ['problem'],
    meaning:
      'no groups: firmware describes an IOMMU and nothing turns it off, but the kernel does not drive it',
    remedy: 'a kernel with the driver built in; dmesg when the firmware tables are faulty',
  },
  'HOST-IOMMU-FIRMWARE': {
    severities: ['problem'],
    meaning:
      'no groups: firmware describes no IOMMU, so it is switched off there or the machine has none',
    remedy: 'switch on VT-d or AMD IOMMU in the firmware setup',
  },
  'HOST-IOMMU-VM': {
    severities: ['problem'],
    meaning: 'no groups: this is a virtual machine without a virtual IOMMU',
    remedy: 'give the virtual machine an IOMMU',
  },
  'HOST-INTREMAP': {
    severities: ['ok', 'warning', 'problem', 'unknown'],
    meaning:
      'whether interrupts are remapped; without it VFIO refuses (problem) unless told to accept the risk (warning)',
    remedy: 'switch interrupt remapping on in firmware, remove intremap=off',
  },
  'HOST-UNSAFE-INTERRUPTS': {
    severities: ['ok', 'warning', 'unknown'],
    meaning: 'whether VFIO was told to accept devices whose interrupts are not remapped',
    remedy: 'set allow_unsafe_interrupts to N',
  },
  'HOST-VFIO-PCI': {
    severities: ['ok', 'info', 'problem', 'unknown'],
    meaning: 'whether the driver vfio-pci is loaded, or can be',
    remedy: '`modprobe vfio-pci` as root',
  },
  'HOST-VFIO-TYPE1': {
    severities: ['ok', 'info', 'unknown'],
    meaning: 'whether the VFIO back end that maps memory through the IOMMU is loaded',
    remedy: '`modprobe vfio_iommu_type1` as root',
  },
  'HOST-VFIO-NODE': {
    severities: ['ok', 'info', 'problem', 'unknown'],
    meaning: 'whether /dev/vfio/vfio or /dev/vfio/devices is there, through which users reach VFIO',
    remedy: 'load vfio; in a container, pass the nodes in',
  },
  'HOST-NOIOMMU': {
    severities: ['warning', 'problem'],
    meaning:
      'VFIO may hand out devices without an IOMMU (warning), or does already (problem): such groups isolate nothing',
    remedy: 'set vfio.enable_unsafe_noiommu_mode to N',
  },
  'HOST-MEMLOCK': {
    severities: ['ok', 'info', 'warning', 'unknown'],
    meaning:
      'how much memory the calling user may lock: a guest that owns a device locks all of its memory',
    remedy: 'raise RLIMIT_MEMLOCK of the user who runs the guest',
  },
  'HOST-DMA-ENTRIES': {
    severities: ['ok', 'info', 'warning', 'unknown'],
    meaning: 'how many mappings one VFIO container may hold',
    remedy: 'raise vfio_iommu_type1.dma_entry_limit',
  },
  'HOST-NO-PCI': {
    severities: ['unknown'],
    meaning:
      "no PCI function is visible: a container without the host's /sys, or a machine without PCI",
    remedy: 'run isogroup on the host itself',
  },
  'HOST-CONTAINER': {
    severities: ['info'],
    meaning:
      'the caller is root but may not read configuration space: a container, or a locked-down kernel',
    remedy: 'run isogroup on the host itself',
  },
  'HOST-REGISTERS': {
    severities: ['ok', 'unknown'],
    meaning:
      'whether the registers that decide about peer traffic (PCI Express, ACS) could be read',
    remedy: 'run as root',
  },
  'HOST-UNGROUPED': {
    severities: ['warning', 'unknown'],
    meaning:
      'PCI functions that are in no group although the host has groups: no IOMMU covers them',
    remedy: 'such a function cannot be handed to a user; dmesg may tell why',
  },
  'HOST-UNGROUPED-NORMAL': {
    severities: ['info'],
    meaning:
      "functions that have no group on any host: an IOMMU's own, and host bridges that firmware leaves out",
    remedy: 'none',
  },
  'HOST-RMRR': {
    severities: ['ok', 'warning', 'unknown'],
    meaning:
      'groups for which firmware demands fixed memory mappings (RMRR, IVMD): VFIO refuses them',
    remedy: "a firmware setting or update from the machine's vendor",
  },
  'GRP-OVERRIDE': {
    severities: ['problem', 'unknown'],
    meaning:
      'the out-of-tree ACS override patch is asked for: groups promise isolation that is not there',
    remedy: 'remove pcie_acs_override= from the kernel command line',
  },
  'GRP-SWITCH-PEER': {
    severities: ['warning'],
    meaning:
      'the ports of a switch without ACS are in several groups, but devices below can reach each other',
    remedy: 'one owner for all devices below the switch',
  },
  'GRP-HOTPLUG-SPLIT': {
    severities: ['warning'],
    meaning: 'a function would get another group if it were removed and added again',
    remedy: 'do not remove and rescan it while its group is in use',
  },
  'GRP-ALIAS-TABLE': {
    severities: ['unknown'],
    meaning: 'a non-transparent bridge keeps requester ids in memory that only the kernel reads',
    remedy: "compare with the kernel's own groups on the host",
  },
  'GRP-DAMAGED': {
    severities: ['warning'],
    meaning: 'configuration space or topology does not make sense in places',
    remedy: 'read again as root; a faulty device or firmware when it stays so',
  },
}
