/** How much of the host the caller can see at all: a container and an ordinary user see less than root. */
import type { AcsTable } from '../groups/acs.ts'
import type { HostReadiness, HostSnapshot } from '../host.ts'
import type { Topology } from '../topology/topology.ts'
import { finding, type HostFinding } from './readiness.ts'

/** What the kernel shows of configuration space to anybody: 64 bytes, of a CardBus bridge 128. */
const HEADER_BYTES = 128

export function visibilityFindings(
  snapshot: HostSnapshot,
  { uid }: HostReadiness,
  topology: Topology,
  acs: AcsTable,
): readonly HostFinding[] {
  if (snapshot.functions.length === 0) {
    return [
      finding('HOST-NO-PCI', 'unknown', {
        fact: "no PCI function is visible: a container without the host's /sys, or a machine without PCI",
        evidence: ['/sys/bus/pci/devices: empty or missing'],
        remedy: 'run isogroup on the host itself',
      }),
    ]
  }
  const blind = [...topology.nodes.values()].filter(
    (node) => acs.verdict(node).verdict === 'unknown',
  )
  const first = blind[0]
  if (first === undefined) {
    return [
      finding('HOST-REGISTERS', 'ok', {
        fact: 'the registers that decide about peer traffic are readable for every function',
        evidence: [`/sys/bus/pci/devices: ${String(snapshot.functions.length)} functions`],
      }),
    ]
  }
  const isRoot = uid.known && uid.value === 0
  const remedy = isRoot
    ? 'run isogroup on the host itself; lockdown of the kernel may also keep root out'
    : 'run as root'
  const found = [
    finding('HOST-REGISTERS', 'unknown', {
      fact: `whether ${String(blind.length)} of ${String(topology.nodes.size)} functions isolate peer traffic is unknown: their registers could not be read`,
      evidence: acs.verdict(first).evidence.map((line) => `${first.address}: ${line}`),
      remedy,
      about: blind.map((node) => node.address),
    }),
  ]
  if (isRoot && snapshot.functions.every(({ config }) => config.size <= HEADER_BYTES)) {
    found.push(
      finding('HOST-CONTAINER', 'info', {
        fact: 'the caller is root, but may not read all of configuration space: this looks like a container',
        evidence: ['effective uid 0', ...acs.verdict(first).evidence],
        remedy: 'run isogroup on the host itself',
      }),
    )
  }
  return found
}
