/** `ls --json` and the group part of `show --json`: groups with strength and viability. */
import type { AssessedGroup, Assessment, UngroupedFunction } from '../../isolation/assess/assess.ts'
import type { Strength } from '../../isolation/assess/strength.ts'
import type { Viability } from '../../isolation/assess/viability.ts'
import type { HostSnapshot } from '../../isolation/host.ts'
import {
  type DeviceJson,
  type OtherDeviceJson,
  deviceJson,
  otherDeviceJson,
  same,
  shown,
} from './device-json.ts'

export interface GroupJson {
  readonly id: string
  readonly devices: readonly DeviceJson[]
  /** Members that are no PCI functions. */
  readonly others: readonly OtherDeviceJson[]
  /** Names that the group lists, but that are not among the devices read. */
  readonly unlisted: readonly string[]
  readonly strength: Strength
  readonly viability: Viability
}

export interface UngroupedJson extends DeviceJson {
  readonly reason: string
  /** `normal`: expected on a host with its IOMMU on. */
  readonly kind: UngroupedFunction['kind']
}

export interface GroupListJson {
  readonly host: string
  /** Kernel release as uname -r prints it. */
  readonly kernel: string | null
  readonly groups: readonly GroupJson[]
  readonly ungrouped: readonly UngroupedJson[]
  readonly unknown: Readonly<Record<string, string>>
}

export function groupListJson(snapshot: HostSnapshot, assessment: Assessment): GroupListJson {
  const unknown: Record<string, string> = {}
  if (!snapshot.groups.known) unknown['groups'] = snapshot.groups.why
  return {
    host: snapshot.source,
    kernel: shown(unknown, 'kernel', snapshot.kernelRelease, same),
    groups: assessment.groups.map(groupJson),
    ungrouped: assessment.ungrouped.map(({ node, reason, kind }) => ({
      ...deviceJson(node.fn),
      reason,
      kind,
    })),
    unknown,
  }
}

export function groupJson(group: AssessedGroup): GroupJson {
  const { id, members, others, unlisted, strength, viability } = group
  return {
    id,
    devices: members.map((node) => deviceJson(node.fn)),
    others: others.map(otherDeviceJson),
    unlisted,
    strength,
    viability,
  }
}
