/** The kernel's age: what it guarantees to a group that a user holds changed with 5.19. */
import { atLeast, formatKernelVersion } from '../../base/kernel-version.ts'
import type { Rules } from '../groups/rules.ts'
import type { HostSnapshot } from '../host.ts'
import { finding, type HostFinding } from './readiness.ts'

export function kernelFindings(rules: Rules, snapshot: HostSnapshot): readonly HostFinding[] {
  const { kernelRelease } = snapshot
  if (!rules.kernelKnown) {
    const why = kernelRelease.known
      ? `"${kernelRelease.value}" does not begin with a version`
      : kernelRelease.why
    return [
      finding('HOST-KERNEL', 'unknown', {
        fact: `the kernel version is unknown; the rules of ${formatKernelVersion(rules.kernel)} are taken`,
        evidence: [why],
        remedy: 'say it with --kernel, for example --kernel 6.1',
      }),
    ]
  }
  const version = formatKernelVersion(rules.kernel)
  const own = kernelRelease.known ? `/proc/sys/kernel/osrelease: ${kernelRelease.value}` : ''
  const evidence = own === '' ? ['--kernel'] : [own]
  if (atLeast(rules.kernel, 5, 19)) {
    return [
      finding('HOST-KERNEL', 'ok', {
        fact: `Linux ${version} keeps host drivers away from groups that a user holds`,
        evidence,
      }),
    ]
  }
  return [
    finding('HOST-KERNEL', 'warning', {
      fact: `Linux ${version} does not keep host drivers away from a group that a user holds: a driver that binds to a member, for example at hot plug, stops the kernel`,
      evidence,
      remedy: 'use Linux 5.19 or newer; until then do not add or rescan devices while a guest runs',
    }),
  ]
}
