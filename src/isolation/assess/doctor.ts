/**
 * Is this host ready to hand devices to users? Every check gives findings with a stable code, what is
 * so, what shows it, and the next command. What could not be read gives a finding of its own.
 */
import { acsTable } from '../groups/acs.ts'
import { rulesFor } from '../groups/rules.ts'
import type { HostReadiness, HostSnapshot } from '../host.ts'
import { buildTopology } from '../topology/topology.ts'
import { argumentFindings } from './argument-findings.ts'
import { groupFindings } from './group-findings.ts'
import { readInterrupts } from './interrupts.ts'
import { interruptFindings } from './interrupt-findings.ts'
import { iommuFindings } from './iommu-findings.ts'
import { parseArguments } from './kernel-arguments.ts'
import { kernelFindings } from './kernel-findings.ts'
import { limitFindings } from './limit-findings.ts'
import { readMembership } from './membership.ts'
import { type DoctorOptions, type DoctorReport, verdictOf } from './readiness.ts'
import { vfioFindings } from './vfio-findings.ts'
import { visibilityFindings } from './visibility-findings.ts'

export function doctor(
  snapshot: HostSnapshot,
  readiness: HostReadiness,
  options: DoctorOptions,
): DoctorReport {
  const topology = buildTopology(snapshot)
  const rules = rulesFor(snapshot, options.kernel)
  const { commandLine } = snapshot
  const args = commandLine.known ? parseArguments(commandLine.value) : []
  const membership = readMembership(snapshot, topology)
  const findings = [
    ...visibilityFindings(snapshot, readiness, topology, acsTable(rules)),
    ...kernelFindings(rules, snapshot),
    ...argumentFindings(snapshot, args),
    ...iommuFindings(snapshot, readiness, args),
    ...interruptFindings(snapshot, readInterrupts(snapshot, topology).host, args),
    ...vfioFindings(snapshot, readiness),
    ...limitFindings(snapshot, readiness),
    ...groupFindings(snapshot, topology, membership),
  ]
  return { verdict: verdictOf(findings), findings }
}
