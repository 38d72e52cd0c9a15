/** Golden machines: the groups that real kernels formed, predicted from facts alone. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { comparePrediction } from '../isolation/groups/compare.ts'
import { predictGroups } from '../isolation/groups/predict.ts'
import { rulesFor } from '../isolation/groups/rules.ts'
import { buildTopology } from '../isolation/topology/topology.ts'
import { MACHINE_FORMAT, parseMachine } from './machine-file.ts'
import { machineNames } from './open-host.ts'

/** Sets of addresses as sorted lines, with only the given addresses in them. */
function partition(sets: Iterable<readonly string[]>, among: ReadonlySet<string>): string[] {
  const lines: string[] = []
  for (const set of sets) {
    const members = set.filter((address) => among.has(address)).sort()
    if (members.length > 0) lines.push(members.join(' '))
  }
  return lines.sort()
}

function setsOf(groups: ReadonlyMap<string, string>): string[][] {
  const sets = new Map<string, string[]>()
  for (const [address, id] of groups) sets.set(id, [...(sets.get(id) ?? []), address])
  return [...sets.values()]
}

/** Hosts whose facts were recorded; the catalogue of models is tested in models.test.ts. */
const RECORDED = machineNames().filter((name) => {
  const path = new URL(`../../machines/${name}.json`, import.meta.url)
  return (JSON.parse(readFileSync(path, 'utf8')) as { format: string }).format === MACHINE_FORMAT
})

describe('the recorded machines', () => {
  it('are the eight real ones and the two of the lab', () => {
    expect(RECORDED).toEqual([
      'asus-pn51',
      'crudup-xps13-2022',
      'dell-xps13-9360',
      'emerson-r1505g-5.4',
      'estudies-thinkpad-cezanne',
      'hp-spectre-15-df1',
      'lambda-wrx80-4090',
      'q35-intel-iommu-on',
      'q35-iommu-off',
      'surface-book-2',
    ])
  })

  it.each(RECORDED)("%s: every predicted group is the kernel's", (name) => {
    const path = new URL(`../../machines/${name}.json`, import.meta.url)
    const { snapshot, expected } = parseMachine(JSON.parse(readFileSync(path, 'utf8')))
    const topology = buildTopology(snapshot)
    const rules = rulesFor(snapshot, null)
    const prediction = predictGroups(topology, snapshot, rules)
    // With the IOMMU off there are no groups; the same machine with it on tells what they would be.
    const truth = name === 'q35-iommu-off' ? groupsWithIommuOn() : expected
    const listed = new Set(snapshot.functions.map((fn) => fn.address))
    const both = new Set([...truth.keys()].filter((address) => listed.has(address)))
    expect(both.size).toBeGreaterThan(15)
    expect(
      partition(
        prediction.groups.map((group) => group.devices),
        both,
      ),
    ).toEqual(partition(setsOf(truth), both))
    const differences = comparePrediction(prediction, snapshot, rules)
    expect(differences.filter(({ kind }) => kind !== 'ungrouped')).toEqual([])
  })
})

function groupsWithIommuOn(): ReadonlyMap<string, string> {
  const path = new URL('../../machines/q35-intel-iommu-on.json', import.meta.url)
  return parseMachine(JSON.parse(readFileSync(path, 'utf8'))).expected
}
