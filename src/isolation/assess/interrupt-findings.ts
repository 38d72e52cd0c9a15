/** Interrupt remapping, and whether VFIO was told to do without. */
import type { HostSnapshot } from '../host.ts'
import type { Guarantee } from './guarantee.ts'
import { hasRealGroups } from './iommu-findings.ts'
import { isSet, type KernelArgument } from './kernel-arguments.ts'
import { finding, type HostFinding } from './readiness.ts'

/** VFIO has the switch twice: for containers and for iommufd. */
const SWITCHES = ['vfio_iommu_type1.allow_unsafe_interrupts', 'iommufd.allow_unsafe_interrupts']

export function interruptFindings(
  snapshot: HostSnapshot,
  remapping: Guarantee,
  args: readonly KernelArgument[],
): readonly HostFinding[] {
  const waiver = unsafeSwitch(snapshot, args)
  const found: HostFinding[] = []
  // Without an IOMMU there is nothing to remap interrupts, and that finding is made already.
  if (hasRealGroups(snapshot) || !snapshot.groups.known) {
    found.push(remappingFinding(remapping, waiver !== null))
  }
  found.push(...switchFindings(snapshot, waiver))
  return found
}

function remappingFinding({ verdict, evidence }: Guarantee, waived: boolean): HostFinding {
  if (verdict === 'yes') {
    const fact = 'interrupts are remapped: a device cannot forge those of others'
    return finding('HOST-INTREMAP', 'ok', { fact, evidence: [evidence] })
  }
  if (verdict === 'unknown') {
    return finding('HOST-INTREMAP', 'unknown', {
      fact: 'whether interrupts are remapped is unknown; without it VFIO refuses to hand out devices',
      evidence: [evidence],
      remedy:
        'look for names that begin with IR- in /proc/interrupts, or as root: dmesg | grep -i remapping',
    })
  }
  return finding('HOST-INTREMAP', waived ? 'warning' : 'problem', {
    fact: waived
      ? 'interrupts are not remapped, and VFIO accepts that: the owner of a device can forge interrupts of the host'
      : 'interrupts are not remapped, so VFIO refuses to hand out devices (EPERM)',
    evidence: [evidence],
    remedy:
      'switch interrupt remapping (often part of VT-d or IOMMU, or x2APIC) on in the firmware setup, remove intremap=off, and reboot',
  })
}

/** Where the waiver is given: the live parameter, or an argument for a module that is not loaded. */
function unsafeSwitch(snapshot: HostSnapshot, args: readonly KernelArgument[]): string | null {
  for (const name of SWITCHES) {
    const value = snapshot.vfio.parameters[name]
    if (value !== undefined) {
      if (/^[Yy1]/.test(value)) return `${parameterPath(name)}: ${value}`
      continue
    }
    const argument = isSet(args, name)
    if (argument !== null) return `/proc/cmdline: ${argument.text}`
  }
  return null
}

/** "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode" */
export function parameterPath(name: string): string {
  const [module = '', parameter = ''] = name.split('.')
  return `/sys/module/${module}/parameters/${parameter}`
}

function switchFindings({ vfio }: HostSnapshot, waiver: string | null): HostFinding[] {
  if (waiver !== null) {
    return [
      finding('HOST-UNSAFE-INTERRUPTS', 'warning', {
        fact: 'VFIO is told to hand out devices even where interrupts are not remapped',
        evidence: [waiver],
        remedy:
          'set allow_unsafe_interrupts to N (in /sys/module, and in /etc/modprobe.d or on the kernel command line), unless every owner of a device is trusted',
      }),
    ]
  }
  const read = SWITCHES.filter((name) => vfio.parameters[name] !== undefined)
  if (read.length > 0) {
    return [
      finding('HOST-UNSAFE-INTERRUPTS', 'ok', {
        fact: 'VFIO insists on remapped interrupts',
        evidence: read.map((name) => `${parameterPath(name)}: ${vfio.parameters[name] ?? ''}`),
      }),
    ]
  }
  if (vfio.modules.known && !vfio.modules.value.includes('vfio_iommu_type1')) return []
  return [
    finding('HOST-UNSAFE-INTERRUPTS', 'unknown', {
      fact: 'whether VFIO insists on remapped interrupts is unknown',
      evidence: [
        vfio.modules.known
          ? `${parameterPath(SWITCHES[0] ?? '')}: not readable`
          : `/sys/module: ${vfio.modules.why}`,
      ],
    }),
  ]
}
