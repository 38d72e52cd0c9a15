/** `what-if --json`: the changes as understood, both sides in full, and the difference between them. */
import type { Assessment } from '../../isolation/assess/assess.ts'
import type { Difference } from '../../isolation/difference/difference.ts'
import type { HostSnapshot } from '../../isolation/host.ts'
import type { AddedDevice, Change } from '../../open/what-if.ts'
import { type GroupListJson, groupListJson } from './group-json.ts'

export interface WhatIfJson {
  readonly host: string
  /** As understood, with full addresses. */
  readonly changes: readonly Change[]
  readonly before: SideJson
  readonly after: SideJson
  readonly differences: readonly Difference[]
  readonly added: readonly AddedDevice[]
  /** Functions whose address is another one after the changes; null = gone. */
  readonly renamed: readonly { readonly before: string; readonly after: string | null }[]
  readonly notes: readonly string[]
  /** What was not known of the host, and how its twin has it. */
  readonly assumed: readonly string[]
  /** Devices that the host groups otherwise than its twin. */
  readonly deviations: readonly string[]
}

/** The same shape as in `ls --json`. */
type SideJson = Pick<GroupListJson, 'kernel' | 'groups' | 'ungrouped'>

export interface AssessedSide {
  readonly snapshot: HostSnapshot
  readonly assessment: Assessment
}

export function whatIfJson(
  answer: Omit<WhatIfJson, 'before' | 'after'> & {
    readonly before: AssessedSide
    readonly after: AssessedSide
  },
): WhatIfJson {
  return { ...answer, before: sideJson(answer.before), after: sideJson(answer.after) }
}

function sideJson({ snapshot, assessment }: AssessedSide): SideJson {
  const { kernel, groups, ungrouped } = groupListJson(snapshot, assessment)
  return { kernel, groups, ungrouped }
}
