/** An explanation as text: the answer first, then why, what the host says, and what would change it. */
import type { Explanation } from '../../isolation/explain/explanation.ts'
import type { PciFunction } from '../../isolation/host.ts'
import { type Screen, hanging } from '../screen.ts'
import { counted } from './count-text.ts'
import { type DeviceLayout, deviceLine } from './device-text.ts'
import { findingLines } from './finding-text.ts'
import { byReason, reasonLines } from './join-text.ts'

export function explanationLines(
  explanation: Explanation,
  functions: ReadonlyMap<string, PciFunction>,
  layout: DeviceLayout,
): readonly string[] {
  const { screen } = layout
  const { subjects, members, warnings } = explanation
  const listed = subjects.length > 1 ? subjects : members
  const devices = listed.map((address) => {
    const fn = functions.get(address)
    return fn === undefined ? `  ${address}` : deviceLine(fn, layout, '  ')
  })
  return [
    ...hanging('', answer(explanation), screen.width).map((line) => screen.paint('bold', line)),
    ...devices,
    ...section('why', whyLines(explanation, screen), screen),
    ...section('on this host', hanging('  ', explanation.actual.note, screen.width), screen),
    ...section(remedyTitle(explanation), remedyLines(explanation, screen), screen),
    ...section(
      'warnings',
      warnings.flatMap((it) => findingLines(it, screen)),
      screen,
    ),
  ]
}

function answer({ subjects, together, members, groupId }: Explanation): string {
  const [a = '', b] = subjects
  const group = groupId === null ? '' : ` (group ${groupId})`
  if (b !== undefined) return `${a} and ${b} are ${together ? `together${group}` : 'apart'}`
  if (!together) return `${a} is alone in its group${group}`
  return `${a} shares its group with ${counted(members.length - 1, 'other device')}${group}`
}

function whyLines(explanation: Explanation, screen: Screen): readonly string[] {
  const { chain, apart, together } = explanation
  if (apart.length > 0) {
    return apart.flatMap(({ reason, evidence }) => [
      ...hanging('  ', reason, screen.width),
      ...evidence.flatMap((line) =>
        hanging('      ', line, screen.width).map((text) => screen.paint('dim', text)),
      ),
    ])
  }
  if (!together) return []
  return byReason(chain).flatMap((shared) => [
    ...shared.joins.map(({ device, joins }) => `  ${device} with ${joins}`),
    ...reasonLines(shared, screen, '    '),
  ])
}

function remedyTitle({ subjects }: Explanation): string {
  return subjects.length > 1 ? 'what would separate them' : 'what would separate it'
}

function remedyLines({ remedies }: Explanation, screen: Screen): readonly string[] {
  return remedies.flatMap(({ text }) => hanging('  - ', text, screen.width))
}

/** A title and its lines behind an empty line; nothing when there are no lines. */
function section(title: string, lines: readonly string[], screen: Screen): readonly string[] {
  return lines.length === 0 ? [] : ['', screen.paint('bold', title), ...lines]
}
