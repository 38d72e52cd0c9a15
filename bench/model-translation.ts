/**
 * The model's IOMMU: how fast VT-d tables are written and walked, how large they are, and that groups
 * which share a context cost what one costs. Each run checks its results, so that work left out shows.
 *
 * Rates are given as nanoseconds for one operation: 1,000 ns is a million a second, 50 ns twenty million.
 */
import { type Domain, READ, WRITE } from '../src/model/iommu/domain.ts'
import type { Bench, Benchmark, Measured } from './benchmark.ts'
import { translatingMachine } from './model-machine.ts'

/** Groups that share a context, or have one each. */
const GROUPS = 64

export const MODEL_BENCHMARKS: readonly Benchmark[] = [
  bounded('model-map', 'model: map and unmap one 4 KiB page, VT-d', 1000, 'ns', measureMap),
  bounded('model-iotlb', 'model: translation found in the IOTLB', 50, 'ns', measureCached),
  bounded('model-walk', 'model: translation by a walk of 4 levels', 200, 'ns', measureWalk),
  bounded(
    'model-tables',
    'model: page table bytes / what the format needs',
    1.01,
    '',
    measureBytes,
  ),
  bounded(
    'model-merge-time',
    `model: map and unmap in ${GROUPS} merged groups / in one`,
    1.05,
    '',
    measureMergedTime,
  ),
  bounded(
    'model-merge-memory',
    `model: page table bytes of ${GROUPS} merged groups / of one`,
    1.05,
    '',
    measureMergedMemory,
  ),
]

function bounded(
  name: string,
  title: string,
  bound: number,
  unit: Benchmark['unit'],
  measure: (rounds: number) => Measured,
): Benchmark {
  const run = (bench: Bench): Promise<Measured> => Promise.resolve(measure(bench.rounds))
  return { name, title, bound, goal: null, unit, obstacle: () => null, measure: run }
}

/** Median nanoseconds of one of `operations`, after a round that is not counted. */
function nanoseconds(rounds: number, operations: number, work: () => void): number {
  work()
  const runs = Array.from({ length: rounds }, () => {
    const started = performance.now()
    work()
    return ((performance.now() - started) * 1e6) / operations
  })
  return median(runs)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`the model went wrong: ${what}`)
}

/** Like a driver's ring: the page mapped last is unmapped `LIVE` pages later. */
function runRing(domain: Domain, pages: number): void {
  const live = 256
  for (let n = 0; n < pages; n += 1) {
    domain.map(0x100000 + (n & 0xffff), 0x5000 + ((n * 7) & 0xfff), 1, READ | WRITE)
    if (n >= live) domain.unmap(0x100000 + ((n - live) & 0xffff), 1)
  }
  for (let n = pages - live; n < pages; n += 1) domain.unmap(0x100000 + (n & 0xffff), 1)
}

function measureMap(rounds: number): Measured {
  const { unit, devices } = translatingMachine(1)
  const [device] = devices
  const domain = unit.createDomain('DMA')
  if (device !== undefined) unit.attach(device, domain)
  const pages = 500_000
  const ring = nanoseconds(rounds, pages, () => runRing(domain, pages))
  check(domain.tableBytes === 4096, 'tables were left after the last unmap')
  const alone = nanoseconds(rounds, pages, () => {
    for (let n = 0; n < pages; n += 1) {
      domain.map(n, 5, 1, READ)
      if (domain.unmap(n, 1) !== 1) throw new Error('nothing was unmapped')
    }
  })
  const bulk = nanoseconds(rounds, pages, () => {
    for (let n = 0; n < pages; n += 500) {
      domain.map(n, n + 1, 500, READ)
      if (domain.unmap(n, 500) !== 500) throw new Error('not all was unmapped')
    }
  })
  return {
    value: ring,
    details: [
      `a ring of 256 pages, one at a time: ${rate(ring)}`,
      `a page alone in its tables, which come and go with it: ${rate(alone)}`,
      `500 pages at once: ${rate(bulk)}`,
    ],
  }
}

function rate(ns: number): string {
  return `${ns.toFixed(0)} ns, ${(1000 / ns).toFixed(1)} million a second`
}

/** A domain with single pages mapped, none next to its physical neighbour. */
function mappedMachine(pages: number): ReturnType<typeof translatingMachine> {
  const machine = translatingMachine(1)
  const domain = machine.unit.createDomain('DMA')
  const [device] = machine.devices
  if (device !== undefined) machine.unit.attach(device, domain)
  for (let n = 0; n < pages; n += 1) domain.map(FIRST + n, target(n), 1, READ | WRITE)
  return machine
}

const FIRST = 0x7f00000
const REQUESTER = 0x100

function target(n: number): number {
  return 0x1000 + ((n * 7) & 0xffff)
}

function measureCached(rounds: number): Measured {
  const { unit } = mappedMachine(1024)
  const value = timeTranslations(rounds, unit.hardware, 5_000_000, 1024)
  return { value, details: [rate(value)] }
}

/** Far more pages than the IOTLB has entries, in turn: none is found there. */
function measureWalk(rounds: number): Measured {
  const pages = 2 ** 18
  const { unit } = mappedMachine(pages)
  const value = timeTranslations(rounds, unit.hardware, 2_000_000, pages)
  return { value, details: [rate(value)] }
}

function timeTranslations(
  rounds: number,
  hardware: ReturnType<typeof mappedMachine>['unit']['hardware'],
  count: number,
  pages: number,
): number {
  let expected = 0
  for (let n = 0; n < count; n += 1) expected += target(n % pages)
  return nanoseconds(rounds, count, () => {
    let sum = 0
    for (let n = 0; n < count; n += 1) {
      sum += hardware.translate(REQUESTER, FIRST + (n % pages), (n & 1) === 0)
    }
    check(sum === expected, 'a translation led elsewhere')
  })
}

function measureBytes(): Measured {
  const { unit } = translatingMachine(0)
  const domain = unit.createDomain('DMA')
  const mapped = new Set<number>()
  // Numerical Recipes' generator: the same pages in every run.
  let state = 1
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let n = 0; n < 200_000; n += 1) {
    const page = next(2 ** 12) * 2 ** 14 + next(2 ** 9)
    if (mapped.delete(page)) domain.unmap(page, 1)
    else {
      mapped.add(page)
      domain.map(page, 2 * next(2 ** 18) + 1, 1, READ)
    }
    // Half of all is unmapped again, tables and all.
    if (n === 100_000) {
      for (const one of mapped) if (one >= 2 ** 25 && mapped.delete(one)) domain.unmap(one, 1)
    }
  }
  const tables = [9, 18, 27].map(
    (bits) => new Set([...mapped].map((page) => Math.floor(page / 2 ** bits))).size,
  )
  const needed = 4096 * tables.reduce((sum, count) => sum + count, 1)
  const merged = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`
  return {
    value: domain.tableBytes / needed,
    details: [`${mapped.size} pages mapped: ${merged(domain.tableBytes)} of ${merged(needed)}`],
  }
}

/** A domain for all of the first `groups` devices. */
function sharedBy(groups: number): Domain {
  const { unit, devices } = translatingMachine(groups)
  const domain = unit.createDomain('unmanaged')
  for (const device of devices) unit.attach(device, domain)
  return domain
}

/** A domain for each device. */
function separate(groups: number): readonly Domain[] {
  const { unit, devices } = translatingMachine(groups)
  return devices.map((device) => {
    const domain = unit.createDomain('unmanaged')
    unit.attach(device, domain)
    return domain
  })
}

function measureMergedTime(rounds: number): Measured {
  const pages = 20_000
  const contenders = [[sharedBy(1)], [sharedBy(GROUPS)], separate(GROUPS)]
  const runs: number[][] = contenders.map(() => [])
  // Many short turns, and the best of each: other programs only ever make one slower.
  for (let turn = 0; turn < rounds * 12; turn += 1) {
    for (const [n, domains] of contenders.entries()) {
      if (n === 2 && turn >= 3) continue
      const started = performance.now()
      for (const domain of domains) runRing(domain, pages)
      runs[n]?.push(performance.now() - started)
    }
  }
  const [one = 0, merged = 0, apart = 0] = runs.map((times) => Math.min(...times))
  return {
    value: merged / one,
    details: [
      `one group: ${one.toFixed(1)} ms, ${GROUPS} merged: ${merged.toFixed(1)} ms`,
      `${GROUPS} separate contexts: ${apart.toFixed(0)} ms, ${(apart / one).toFixed(1)} times one`,
    ],
  }
}

function measureMergedMemory(): Measured {
  const bytesOf = (domains: readonly Domain[]): number => {
    let bytes = 0
    for (const domain of domains) {
      for (let n = 0; n < 8192; n += 1) domain.map(FIRST + n, target(n), 1, READ)
      bytes += domain.tableBytes
    }
    return bytes
  }
  const one = bytesOf([sharedBy(1)])
  const merged = bytesOf([sharedBy(GROUPS)])
  const apart = bytesOf(separate(GROUPS))
  return {
    value: merged / one,
    details: [
      `one group: ${one} bytes, ${GROUPS} merged: ${merged} bytes`,
      `${GROUPS} separate contexts: ${apart} bytes, ${(apart / one).toFixed(1)} times one`,
    ],
  }
}
