/** Kernel arguments that bear on isolation, each with what it does; those that turn an IOMMU off are in iommu-findings.ts. */
import { hex } from '../../pci/address.ts'
import type { HostSnapshot, PciFunction } from '../host.ts'
import { isSet, type KernelArgument, lastWith } from './kernel-arguments.ts'
import { finding, type HostFinding, listed } from './readiness.ts'

export function argumentFindings(
  snapshot: HostSnapshot,
  args: readonly KernelArgument[],
): readonly HostFinding[] {
  if (!snapshot.commandLine.known) return unread(snapshot.commandLine.why)
  const found = [
    ...override(args),
    ...acsChanges(args),
    ...noSourceCheck(args),
    ...passthrough(args),
    ...flushing(args),
    ...bounceBuffers(args),
    ...stolenIds(args, snapshot.functions),
  ]
  const weakens = found.some(({ severity }) => severity === 'warning' || severity === 'problem')
  if (weakens) return found
  return [
    finding('HOST-ARGUMENTS', 'ok', {
      fact: 'no kernel argument weakens isolation',
      evidence: [`/proc/cmdline: ${aboutIsolation(args)}`],
    }),
    ...found,
  ]
}

const ABOUT_ISOLATION = /^(?:intel_iommu|amd_iommu|iommu|arm_smmu|intremap|pci|vfio)/

/** The arguments that were judged; the others are nobody's business. */
function aboutIsolation(args: readonly KernelArgument[]): string {
  const judged = args.filter(({ name }) => ABOUT_ISOLATION.test(name))
  if (judged.length === 0) return 'nothing about IOMMU, interrupts, PCI or VFIO'
  return judged.map(({ text }) => text).join(' ')
}

function unread(why: string): HostFinding[] {
  const remedy = 'read /proc/cmdline on the host'
  return [
    finding('HOST-ARGUMENTS', 'unknown', {
      fact: 'the kernel command line is unknown, so arguments that weaken isolation would not be seen',
      evidence: [`/proc/cmdline: ${why}`],
      remedy,
    }),
    finding('GRP-OVERRIDE', 'unknown', {
      fact: 'whether the ACS override patch makes groups promise too much is unknown',
      evidence: [`/proc/cmdline: ${why}`],
      remedy,
    }),
  ]
}

function shown({ text }: KernelArgument): string {
  return `/proc/cmdline: ${text}`
}

function override(args: readonly KernelArgument[]): HostFinding[] {
  const argument = args.findLast(({ name }) => name === 'pcie_acs_override')
  if (argument === undefined) return []
  return [
    finding('GRP-OVERRIDE', 'problem', {
      fact: 'the ACS override patch is asked for: where the kernel has it, groups promise isolation that the hardware does not give',
      evidence: [shown(argument)],
      remedy:
        'remove pcie_acs_override= from the kernel command line; `isogroup predict` shows the groups that the hardware supports',
    }),
  ]
}

/** pci=disable_acs_redir= and pci=config_acs=; other words with "acs" are of patched kernels. */
function acsChanges(args: readonly KernelArgument[]): HostFinding[] {
  return args
    .filter(({ name, options }) => name === 'pci' && options.some((option) => /acs/i.test(option)))
    .map((argument) => {
      const mainline = argument.options.some((option) =>
        /^(?:disable_acs_redir|config_acs)=/.test(option),
      )
      const fact = mainline
        ? 'a kernel argument changes ACS bits: it can let devices reach each other, and it moves the borders of groups'
        : 'a kernel argument speaks of ACS that no mainline kernel knows: a patched kernel may turn isolation off'
      return finding('HOST-ARG-ACS', 'warning', {
        fact,
        evidence: [shown(argument)],
        remedy:
          'remove it unless the change is meant; `isogroup predict` takes the registers as they are',
      })
    })
}

function noSourceCheck(args: readonly KernelArgument[]): HostFinding[] {
  const found = lastWith(args, 'intremap', ['nosid'])
  if (found === null) return []
  return [
    finding('HOST-ARG-NOSID', 'warning', {
      fact: 'interrupts are remapped without a check of who sends them: a device can forge those of others',
      evidence: [shown(found.argument)],
      remedy: 'remove nosid from intremap= and reboot',
    }),
  ]
}

function passthrough(args: readonly KernelArgument[]): HostFinding[] {
  const pt = lastWith(args, 'iommu', ['pt', 'nopt'])
  const generic = isSet(args, 'iommu.passthrough')
  const argument = pt?.option === 'pt' ? pt.argument : generic
  if (argument === null) return []
  return [
    finding('HOST-ARG-PASSTHROUGH', 'info', {
      fact: "the host's own drivers bypass translation; a group handed to a user is translated all the same",
      evidence: [shown(argument)],
    }),
  ]
}

function flushing(args: readonly KernelArgument[]): HostFinding[] {
  const generic = args.findLast(({ name }) => name === 'iommu.strict')
  const intel = lastWith(args, 'intel_iommu', ['strict'])
  const amd = lastWith(args, 'amd_iommu', ['fullflush'])
  const argument = generic ?? intel?.argument ?? amd?.argument
  if (argument === undefined) return []
  return [
    finding('HOST-ARG-STRICT', 'info', {
      fact: "an argument chooses when addresses unmapped by the host's own drivers stop working; groups handed to users are not affected",
      evidence: [shown(argument)],
    }),
  ]
}

function bounceBuffers(args: readonly KernelArgument[]): HostFinding[] {
  const found = lastWith(args, 'iommu', ['soft'])
  if (found === null) return []
  return [
    finding('HOST-ARG-SOFT', 'info', {
      fact: 'kernel drivers are asked to copy through bounce buffers; that isolates nothing and turns no IOMMU off',
      evidence: [shown(found.argument)],
      remedy: 'remove iommu=soft unless a driver needs it',
    }),
  ]
}

function stolenIds(
  args: readonly KernelArgument[],
  functions: readonly PciFunction[],
): HostFinding[] {
  const argument = args.findLast(({ name }) => name === 'vfio_pci.ids')
  if (argument === undefined) return []
  const matches = argument.options.map((id) => ({
    id,
    taken: functions.filter((fn) => hasId(fn, id)).map((fn) => fn.address),
  }))
  const several = matches.find(({ taken }) => taken.length > 1)
  const about = matches.flatMap(({ taken }) => taken)
  return [
    finding('HOST-ARG-VFIO-IDS', several === undefined ? 'info' : 'warning', {
      fact:
        several === undefined
          ? 'vfio-pci takes devices by their ids at boot'
          : `vfio-pci takes every device with id ${several.id} at boot, and there are ${String(several.taken.length)}: ${listed(several.taken)}`,
      evidence: [shown(argument)],
      remedy:
        several === undefined
          ? ''
          : 'choose single devices by their driver_override file instead of ids',
      about,
    }),
  ]
}

/** "10de:1b80" or, with subsystem and class fields behind, "10de:1b80:ffffffff:ffffffff": the first two count. */
function hasId({ vendor, device }: PciFunction, id: string): boolean {
  const [wantedVendor = '', wantedDevice = ''] = id.toLowerCase().split(':')
  if (!vendor.known || !device.known) return false
  return (
    wantedVendor.padStart(4, '0') === hex(vendor.value, 4) &&
    wantedDevice.padStart(4, '0') === hex(device.value, 4)
  )
}
