/**
 * The result of deriving groups from the topology: a partition in which every join carries its reason.
 */
import type { Finding } from '../../base/finding.ts'

/**
 * Why two devices cannot be told apart or kept apart. Documented in docs/reference/reasons.md.
 *
 * - `no-acs-above`: a bridge above (the decider) does not isolate, so what is below joins it
 * - `multifunction`: two functions of one slot, neither isolates peer traffic
 * - `bridge-alias`: requests pass a PCI bridge that replaces the requester id by its own
 * - `quirk-alias`: the device is known to use another function's requester id
 * - `dma-host`: another device issues the DMA (Intel VMD)
 */
export type JoinCode =
  | 'no-acs-above'
  | 'multifunction'
  | 'bridge-alias'
  | 'quirk-alias'
  | 'dma-host'

/** One edge of the group: `device` is in the group of `joins` because of `decider`. */
export interface Join {
  readonly code: JoinCode
  readonly device: string
  readonly joins: string
  /** The function whose registers or quirk decide. */
  readonly decider: string
  /** One sentence for a person. */
  readonly reason: string
  /** Register bits and table entries: "0000:00:1c.0 PCIe type 4 (root port), no ACS capability". */
  readonly evidence: readonly string[]
  /** `possible`: rests on a fact that is unknown and was taken as "does not isolate". */
  readonly certainty: 'certain' | 'possible'
}

export interface PredictedGroup {
  /** PCI addresses in order. */
  readonly devices: readonly string[]
  /** A spanning set of joins: one less than there are devices. */
  readonly because: readonly Join[]
}

/** A fact that could not be read and what depends on it. */
export interface UndecidedFact {
  readonly device: string
  /** "ACS", "PCI Express capability", "multifunction bit", "driver of hosted bus" */
  readonly fact: string
  readonly why: string
  /** What would change if it turned out the other way. */
  readonly effect: string
}

export interface Prediction {
  /** Version whose rules were used: "6.12". */
  readonly kernel: string
  readonly groups: readonly PredictedGroup[]
  /** Functions that get no group whatever the topology (an IOMMU's own PCI function), with the reason. */
  readonly ungrouped: readonly { readonly device: string; readonly why: string }[]
  readonly unknown: readonly UndecidedFact[]
  /** Known holes in the kernel's grouping, overrides that make groups lie, hot-plug differences. */
  readonly warnings: readonly Finding[]
}

/** How the prediction and the kernel's own groups differ; empty where they agree. */
export interface GroupDifference {
  /**
   * `joined`: together on the host, apart in the prediction; `split`: the other way round;
   * `ungrouped`: predicted in a group, but the kernel gave it none.
   */
  readonly kind: 'joined' | 'split' | 'ungrouped'
  readonly devices: readonly string[]
  /** Ids of the host's groups involved. */
  readonly groups: readonly string[]
  readonly explanation: string
  /** True when an unknown fact would explain the difference. */
  readonly undecided: boolean
}
