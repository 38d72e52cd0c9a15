/** `predict --json`: the predicted groups with every reason, and how the host differs. */
import type { Finding } from '../../base/finding.ts'
import type {
  GroupDifference,
  Join,
  Prediction,
  UndecidedFact,
} from '../../isolation/groups/prediction.ts'

export interface PredictionJson {
  readonly host: string
  /** The version whose rules were used: "6.12". */
  readonly kernel: string
  readonly groups: readonly {
    readonly devices: readonly string[]
    readonly because: readonly Join[]
  }[]
  readonly differences: readonly GroupDifference[]
  /** The host's groups were there to compare with; else `differences` says nothing. */
  readonly compared: boolean
  readonly unknown: readonly UndecidedFact[]
  readonly ungrouped: readonly { readonly device: string; readonly why: string }[]
  readonly warnings: readonly Finding[]
}

export function predictionJson(
  host: string,
  prediction: Prediction,
  differences: readonly GroupDifference[],
  compared: boolean,
): PredictionJson {
  const { kernel, groups, unknown, ungrouped, warnings } = prediction
  return { host, kernel, groups, differences, compared, unknown, ungrouped, warnings }
}
