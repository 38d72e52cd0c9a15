/** Joins as text: because ..., with the registers they rest on. The same reason is given once. */
import type { Join } from '../../isolation/groups/prediction.ts'
import { type Screen, hanging } from '../screen.ts'

/** Joins that have reason and evidence in common. */
export interface SharedReason {
  readonly joins: readonly [Join, ...Join[]]
}

/** In order of first appearance. */
export function byReason(joins: readonly Join[]): readonly SharedReason[] {
  const gathered = new Map<string, [Join, ...Join[]]>()
  for (const join of joins) {
    const key = [join.certainty, join.reason, ...join.evidence].join('\n')
    const list = gathered.get(key)
    if (list === undefined) gathered.set(key, [join])
    else list.push(join)
  }
  return [...gathered.values()].map((list) => ({ joins: list }))
}

export function reasonLines(
  shared: SharedReason,
  screen: Screen,
  indent: string,
): readonly string[] {
  const [join] = shared.joins
  const word = join.certainty === 'certain' ? 'because ' : 'perhaps '
  const reason = hanging(indent + word, join.reason, screen.width)
  const evidence = join.evidence.flatMap((line) =>
    hanging(`${indent}${' '.repeat(word.length)}`, line, screen.width),
  )
  return [...reason, ...evidence.map((line) => screen.paint('dim', line))]
}
