/** One join as text: because ..., with the registers it rests on. */
import type { Join } from '../../isolation/groups/prediction.ts'
import { type Screen, hanging } from '../screen.ts'

export function joinLines(join: Join, screen: Screen, indent: string): readonly string[] {
  const word = join.certainty === 'certain' ? 'because ' : 'perhaps '
  const reason = hanging(indent + word, join.reason, screen.width)
  const evidence = join.evidence.flatMap((line) =>
    hanging(`${indent}${' '.repeat(word.length)}`, line, screen.width),
  )
  return [...reason, ...evidence.map((line) => screen.paint('dim', line))]
}
