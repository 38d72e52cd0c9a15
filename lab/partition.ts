/**
 * Partitions of devices into groups, compared without regard to group numbers, which depend on the
 * order of discovery.
 */
import type { ActualDevice } from './actual.ts'

/** Sorted addresses of each group, the groups sorted by their first address. */
export type Partition = readonly (readonly string[])[]

export function normalPartition(groups: readonly (readonly string[])[]): Partition {
  return groups.map((group) => [...group].sort()).sort((a, b) => compareText(a[0], b[0]))
}

/** The kernel's partition: every function that has a group. */
export function actualPartition(devices: readonly ActualDevice[]): Partition {
  const groups = new Map<string, string[]>()
  for (const { address, group } of devices) {
    if (group === undefined) continue
    const members = groups.get(group)
    if (members === undefined) groups.set(group, [address])
    else members.push(address)
  }
  return normalPartition([...groups.values()])
}

/** The partition with only the given addresses left in it. */
export function restrictPartition(partition: Partition, addresses: ReadonlySet<string>): Partition {
  const groups = partition.map((group) => group.filter((address) => addresses.has(address)))
  return normalPartition(groups.filter((group) => group.length > 0))
}

/** One line for each group that only one side has; empty when the partitions are equal. */
export function partitionDifferences(expected: Partition, found: Partition): readonly string[] {
  const expectedLines = new Set(expected.map((group) => group.join(' ')))
  const foundLines = new Set(found.map((group) => group.join(' ')))
  return [
    ...[...expectedLines].filter((line) => !foundLines.has(line)).map((line) => `kernel: ${line}`),
    ...[...foundLines].filter((line) => !expectedLines.has(line)).map((line) => `found:  ${line}`),
  ]
}

function compareText(a = '', b = ''): number {
  return a < b ? -1 : a > b ? 1 : 0
}
