/** The comparisons between the kernel's truth and the program's answers. Pure: text in, findings out. */
import type { ActualDevice } from '../actual.ts'
import {
  actualPartition,
  type Partition,
  partitionDifferences,
  restrictPartition,
} from '../partition.ts'
import { readGroupIds, readPrediction } from './answers.ts'
import type { LabFinding } from './case.ts'

const stackTracePattern = /^\s+at .+:\d+:\d+\)?$/m

/** The kernel's groups and the predicted ones, on every function that the kernel gave a group. */
export function checkPrediction(
  devices: readonly ActualDevice[],
  printed: string,
): readonly LabFinding[] {
  const actual = actualPartition(devices)
  const grouped = new Set(actual.flat())
  return comparePartitions('predicted groups', actual, restrict(printed, grouped))
}

/** Groups known beforehand and the predicted ones: for hosts whose kernel made no groups. */
export function checkExpectedGroups(expected: Partition, printed: string): readonly LabFinding[] {
  const addresses = new Set(expected.flat())
  const check = 'groups predicted without an IOMMU'
  return comparePartitions(check, expected, restrict(printed, addresses))
}

function restrict(printed: string, addresses: ReadonlySet<string>): Partition {
  return restrictPartition(readPrediction(printed), addresses)
}

export function comparePartitions(
  check: string,
  expected: Partition,
  found: Partition,
): readonly LabFinding[] {
  const differences = partitionDifferences(expected, found)
  return differences.length === 0 ? [] : [{ check, detail: differences.join('\n') }]
}

/** The group number of every function, and no number for functions that have none. */
export function checkGroupIds(
  devices: readonly ActualDevice[],
  printed: string,
): readonly LabFinding[] {
  const listed = readGroupIds(printed)
  const wrong = devices.flatMap(({ address, group }) => {
    const id = listed.get(address)
    // How a function without a group is listed is the program's choice, as long as no number shows.
    if (id === group || (group === undefined && !/^\d+$/.test(id ?? ''))) return []
    return [`${address}: kernel ${group ?? 'none'}, listed ${id ?? 'none'}`]
  })
  return wrong.length === 0 ? [] : [{ check: 'group numbers', detail: wrong.join('\n') }]
}

type Ended = { readonly code: number; readonly stdout: Buffer; readonly stderr: string }

/** An acceptable exit code and no stack trace. */
export function checkEnd(
  command: string,
  result: Ended,
  codes: readonly number[] = [0],
): readonly LabFinding[] {
  const findings: LabFinding[] = []
  const said = `${result.stdout.toString('utf8').slice(0, 500)}\n${result.stderr.slice(0, 2_000)}`
  if (!codes.includes(result.code)) {
    findings.push({ check: `${command}: exit code`, detail: `${result.code}\n${said}` })
  }
  if (stackTracePattern.test(result.stdout.toString('utf8') + result.stderr)) {
    findings.push({ check: `${command}: no stack trace`, detail: said })
  }
  return findings
}

/** Byte-identical outputs; the finding shows the first line that differs. */
export function checkSame(check: string, expected: Buffer, found: Buffer): readonly LabFinding[] {
  if (expected.equals(found)) return []
  const before = expected.toString('utf8').split('\n')
  const after = found.toString('utf8').split('\n')
  const line = before.findIndex((text, index) => text !== after[index])
  const at = line < 0 ? before.length : line
  const detail =
    `${expected.length} and ${found.length} bytes; line ${at + 1}:\n` +
    `guest:  ${excerptOf(before[at], after[at])}\nreplay: ${excerptOf(after[at], before[at])}`
  return [{ check, detail }]
}

/** The neighbourhood of the first difference: JSON may be one very long line. */
function excerptOf(text = '(end)', other = ''): string {
  let start = 0
  while (start < text.length && text[start] === other[start]) start += 1
  return text.slice(Math.max(0, start - 80), start + 120)
}
