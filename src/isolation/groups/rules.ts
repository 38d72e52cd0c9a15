/**
 * The rules a prediction or an assessment follows: kernel version, command line, and whether the ACS
 * control registers are as the kernel leaves them with an IOMMU on.
 */
import {
  type KernelVersion,
  NEWEST_CHECKED,
  parseKernelVersion,
} from '../../base/kernel-version.ts'
import type { HostSnapshot } from '../host.ts'
import { type AcsArguments, parseAcsArguments } from './acs-arguments.ts'

export interface Rules {
  readonly kernel: KernelVersion
  /** Whether `kernel` was told or read; false when the newest checked version had to be assumed. */
  readonly kernelKnown: boolean
  /**
   * `as-read`: the IOMMU was on when the registers were read, so they are what grouping saw.
   * `simulate`: it was off or nobody knows; the kernel's enable step (pci_enable_acs) is applied.
   */
  readonly acsControl: 'as-read' | 'simulate'
  readonly acsArguments: AcsArguments
  /** `pcie_acs_override=` value of an out-of-tree patch; null when the command line lacks it or is unknown. */
  readonly acsOverride: string | null
}

/** @param kernel version asked for by the user; null to take the snapshot's own */
export function rulesFor(snapshot: HostSnapshot, kernel: KernelVersion | null): Rules {
  const own = snapshot.kernelRelease.known ? parseKernelVersion(snapshot.kernelRelease.value) : null
  const commandLine = snapshot.commandLine.known ? snapshot.commandLine.value : ''
  const grouped = snapshot.groups.known && snapshot.groups.value.length > 0
  return {
    kernel: kernel ?? own ?? NEWEST_CHECKED,
    kernelKnown: kernel !== null || own !== null,
    acsControl: grouped ? 'as-read' : 'simulate',
    acsArguments: parseAcsArguments(commandLine),
    acsOverride: /(?:^|\s)pcie_acs_override=(\S*)/.exec(commandLine)?.[1] ?? null,
  }
}
