/**
 * Why devices are together or apart, as data: the chain of joins or the elements that keep them
 * apart, what the host's own groups say, and what would change the answer.
 */
import type { Finding } from '../../base/finding.ts'
import type { Join } from '../groups/prediction.ts'

/**
 * What would separate devices, or why nothing would. Documented in docs/reference/json.md.
 *
 * - `move-card`: use another slot; `ports` names those of this machine whose path isolates
 * - `firmware-acs`: a firmware setting may uncover the missing ACS capability
 * - `config-acs`: the capability is there and a bit is off; `argument` turns it on
 * - `newer-kernel`: as config-acs, but this kernel does not have that argument yet
 * - `drop-argument`: a kernel argument in use switches the isolation off; `argument` names it
 * - `missing-quirk`: the vendor's statement could become a kernel quirk
 * - `one-chip`: functions of one chip; only its vendor can say that they do not talk to each other
 * - `bridge-hides`: nothing separates them, the bridge hides who is asking
 * - `shared-id`: nothing separates them, the device uses its neighbour's requester id
 * - `vmd-off`: switch VMD off in the firmware
 * - `read-more`: the answer rests on facts that could not be read
 * - `not-override`: the ACS override patch would only hide the truth
 */
export type RemedyCode =
  | 'move-card'
  | 'firmware-acs'
  | 'config-acs'
  | 'newer-kernel'
  | 'drop-argument'
  | 'missing-quirk'
  | 'one-chip'
  | 'bridge-hides'
  | 'shared-id'
  | 'vmd-off'
  | 'read-more'
  | 'not-override'

export interface Remedy {
  readonly code: RemedyCode
  /** In words for a person. */
  readonly text: string
  /** A kernel argument to add or to drop; null for most. */
  readonly argument: string | null
  /** Devices it speaks of: ports to move to, the bridge that decides. */
  readonly about: readonly string[]
}

/** What keeps one device from the others: the first element on its way up that does. */
export interface Separation {
  readonly device: string
  /** The function that isolates. */
  readonly by: string
  readonly reason: string
  readonly evidence: readonly string[]
}

/** What the host itself says, beside what the topology asks for. */
export interface ActualGroups {
  /** Group ids of the subjects in their order; null where the kernel gave none or nobody knows. */
  readonly ids: readonly (string | null)[]
  /** Whether the kernel's groups agree with this explanation; null when they are unknown. */
  readonly agrees: boolean | null
  readonly note: string
}

export interface Explanation {
  /** One or two addresses. */
  readonly subjects: readonly string[]
  /** Two subjects: whether they share a group. One: whether it shares its group with others. */
  readonly together: boolean
  /** Id of the kernel's own group that holds all subjects; null when there is none. */
  readonly groupId: string | null
  /** Everything in the predicted groups of the subjects, in order. */
  readonly members: readonly string[]
  /** Two subjects: the joins that lead from the first to the second. One: all joins of its group, nearest first. */
  readonly chain: readonly Join[]
  /** What keeps the subjects apart, or one that is alone from all others: one entry for each; else empty. */
  readonly apart: readonly Separation[]
  readonly actual: ActualGroups
  readonly remedies: readonly Remedy[]
  readonly warnings: readonly Finding[]
}
