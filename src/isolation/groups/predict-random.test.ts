import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DescribedFunction, type DescribedHost, describeSnapshot } from '../snapshot.case.ts'
import { buildTopology } from '../topology/topology.ts'
import { type Fn, groupIncrementally } from './incremental.case.ts'
import { predictGroups } from './predict.ts'
import type { Prediction } from './prediction.ts'
import { rulesFor } from './rules.ts'

function predict(host: DescribedHost): Prediction {
  const snapshot = describeSnapshot(host)
  return predictGroups(buildTopology(snapshot), snapshot, rulesFor(snapshot, null))
}

/** A random tree, bridges before what is below them, as described functions and as plain answers. */
const machines = fc
  .array(
    fc.record({
      above: fc.nat(30),
      slot: fc.nat(2),
      fn: fc.nat(2),
      kind: fc.constantFrom(
        'port',
        'open-port',
        'up',
        'down',
        'pci-bridge',
        'bare-bridge',
        'card',
        'pci',
        'vf',
        'marvell',
        'plx',
      ),
      acs: fc.boolean(),
      flagged: fc.boolean(),
    }),
    { maxLength: 24 },
  )
  .map(buildMachine)

function buildMachine(
  rows: readonly {
    above: number
    slot: number
    fn: number
    kind: string
    acs: boolean
    flagged: boolean
  }[],
): { described: DescribedFunction[]; plain: Fn[] } {
  const described: DescribedFunction[] = []
  const plain: Fn[] = []
  const bridges: (Fn | null)[] = [null]
  const taken = new Set<string>()
  for (const row of rows) {
    const above = bridges[row.above % bridges.length] ?? null
    const busNumber = above === null ? 0 : bridges.indexOf(above)
    const bus = `0000:${busNumber.toString(16).padStart(2, '0')}`
    const address = `${bus}:0${String(row.slot)}.${String(row.fn)}`
    if (taken.has(address)) continue
    taken.add(address)
    const one = buildFunction(row, address, above, bus)
    described.push(one.described)
    plain.push(one.plain)
    if (one.bridge) bridges.push(one.plain)
  }
  return { described, plain }
}

const KINDS: Record<string, { type: number | null; bridge: boolean }> = {
  port: { type: 4, bridge: true },
  'open-port': { type: 4, bridge: true },
  up: { type: 5, bridge: true },
  down: { type: 6, bridge: true },
  'pci-bridge': { type: 7, bridge: true },
  'bare-bridge': { type: null, bridge: true },
  card: { type: 0, bridge: false },
  pci: { type: null, bridge: false },
  vf: { type: 0, bridge: false },
  marvell: { type: 0, bridge: false },
  plx: { type: 0, bridge: false },
}

function buildFunction(
  row: { slot: number; fn: number; kind: string; acs: boolean; flagged: boolean },
  address: string,
  above: Fn | null,
  bus: string,
): { described: DescribedFunction; plain: Fn; bridge: boolean } {
  const { type, bridge } = KINDS[row.kind] ?? { type: 0, bridge: false }
  const virtual = row.kind === 'vf'
  const multifunction = !virtual && (row.flagged || row.fn > 0)
  const hasAcs = row.acs && row.kind !== 'open-port' && type !== null
  // Types 5 and 6 are corrected by what is above; avoid the two impossible stacks in this generator.
  const corrected = type === 6 || type === 5
  const kind = corrected && above !== null ? 4 : type
  const ids = row.kind === 'marvell' ? '1b4b:9120' : row.kind === 'plx' ? '10b5:87b1' : '1234:0001'
  const described: DescribedFunction = {
    at: address,
    parent: above?.address ?? null,
    type: kind,
    acs: hasAcs ? [0x5f, 0x1d] : null,
    multifunction: row.flagged && !virtual,
    ids,
    physicalFunction: virtual ? '0000:ff:00.0' : null,
  }
  const slot = row.slot * 8
  const aliases =
    row.kind === 'plx'
      ? Array.from({ length: 256 }, (_, i) => i)
      : row.kind === 'marvell' && row.fn !== 1
        ? [slot + 1]
        : []
  const plain: Fn = {
    address,
    parent: above,
    bus,
    slot: row.slot,
    fn: row.fn,
    isolates: isolates(kind, hasAcs, multifunction),
    multifunction,
    rewrites: bridge && (kind === null || kind === 7),
    virtual,
    aliases,
    dmaHost: null,
  }
  return { described, plain, bridge }
}

function isolates(type: number | null, acs: boolean, multifunction: boolean): boolean {
  if (type === null || type === 7) return false
  if (type === 4 || type === 6) return acs
  return multifunction ? acs : true
}

function partitionOf(groups: Map<string, unknown>): string[] {
  const sets = new Map<unknown, string[]>()
  for (const [address, group] of groups) sets.set(group, [...(sets.get(group) ?? []), address])
  return [...sets.values()].map((set) => set.sort().join(' ')).sort()
}

describe('predictGroups() against device-by-device grouping', () => {
  it('gives the same partition on random trees', () => {
    fc.assert(
      fc.property(machines, ({ described, plain }) => {
        const expected = partitionOf(groupIncrementally(registrationOrder(plain)))
        const { groups } = predict({ functions: described })
        expect(groups.map((group) => [...group.devices].sort().join(' ')).sort()).toEqual(expected)
      }),
      { numRuns: Number(process.env['ISOGROUP_RUNS'] ?? 3000) },
    )
  })

  it('gives every group exactly the joins of a spanning tree, inside the group', () => {
    fc.assert(
      fc.property(machines, ({ described }) => {
        for (const group of predict({ functions: described }).groups) {
          expect(group.because).toHaveLength(group.devices.length - 1)
          for (const join of group.because) {
            expect(group.devices).toContain(join.device)
            expect(group.devices).toContain(join.joins)
            expect(join.evidence.length).toBeGreaterThan(0)
          }
        }
      }),
    )
  })

  it('an unknown fact never splits what known facts join', () => {
    fc.assert(
      fc.property(machines, fc.nat(23), ({ described }, index) => {
        const target = described[index]
        if (target === undefined) return
        const blurred = described.map((fn) =>
          fn === target ? { ...fn, acs: 'unknown' as const } : fn,
        )
        const exact = predict({ functions: described }).groups
        const rough = predict({ functions: blurred }).groups
        for (const group of exact) {
          expect(rough.some((wide) => group.devices.every((d) => wide.devices.includes(d)))).toBe(
            true,
          )
        }
      }),
    )
  })
})

/** Boot order: the functions of a bus by number, then each bridge's bus depth first. */
function registrationOrder(devices: readonly Fn[]): Fn[] {
  const order: Fn[] = []
  const visit = (parent: Fn | null): void => {
    const here = devices
      .filter((device) => device.parent === parent)
      .sort((a, b) => a.slot * 8 + a.fn - (b.slot * 8 + b.fn))
    order.push(...here)
    for (const device of here) visit(device)
  }
  visit(null)
  return order
}
