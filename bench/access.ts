/**
 * What using devices from TypeScript costs, on a real kernel in a guest of the lab: beside a C program that makes the
 * same calls in the same run. Times are those of an emulated processor: only their relation means something.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { findProjectRoot } from '../lab/cache.ts'
import type { Guest } from '../lab/guest.ts'
import type { Machine } from '../lab/qemu.ts'
import { endpoint, rootPort, slotOf } from '../lab/topology.ts'
import { bootBenchGuest, buildForGuest, type GuestPrograms, prepareLab } from './bench-guest.ts'
import type { Bench, Benchmark, Measured } from './benchmark.ts'
import { COMPILER, needsCompiler } from './compile-c.ts'
import { median } from './measure.ts'

const EDU_COUNT = 8
const READS = 4000
const GUEST_PROGRAM = '.build/bench-access-guest.mjs'
const C_PROGRAM = '.build/bench-access'
const PROGRAMS: GuestPrograms = {
  ours: { source: 'bench/access-guest.ts', built: GUEST_PROGRAM },
  c: { source: 'bench/access.c', built: C_PROGRAM },
}
const DEADLINE_MS = 10 * 60_000

/** Eight groups to merge, and a disk. */
const machine: Machine = {
  name: 'bench-access',
  iommu: 'intel-iommu',
  disks: ['disk'],
  topology: {
    slots: [
      ...Array.from({ length: EDU_COUNT }, (_, n) => slotOf(n + 1, rootPort(endpoint('edu')))),
      slotOf(EDU_COUNT + 1, rootPort(endpoint('nvme', { properties: ['drive=disk'] }))),
    ],
    extraRootBuses: [],
  },
}
const edu = Array.from({ length: EDU_COUNT }, (_, n) => `0000:0${String(n + 1)}:00.0`)
const [first = ''] = edu
const disk = `0000:0${String(EDU_COUNT + 1)}:00.0`

type Figures = Readonly<Record<string, number | null>>

/** The same measurement by both programs, in turns. */
interface Pair {
  readonly ours: readonly Figures[]
  readonly c: readonly Figures[]
}

const settle = `
modprobe -a nvme vfio-pci vfio_iommu_type1 2>/dev/null
sleep 1
for device in ${[...edu, disk].join(' ')}; do
  echo vfio-pci >/sys/bus/pci/devices/$device/driver_override
  [ -e /sys/bus/pci/devices/$device/driver ] && echo $device >/sys/bus/pci/devices/$device/driver/unbind
  echo $device >/sys/bus/pci/drivers_probe
done`

export const ACCESS_BENCHMARKS: readonly Benchmark[] = [
  against(
    'access-map',
    '256 MiB mapped in 2 MiB pieces, huge pages / from C',
    1.1,
    `map huge ${first}`,
    'map2m',
  ),
  against(
    'access-map-small',
    '256 MiB mapped in 2 MiB pieces, small pages / from C',
    1.1,
    `map small ${first}`,
    'map2m',
  ),
  against('access-page', '4 KiB mapped and unmapped / from C', 2.5, `page ${first}`, 'page'),
  against('access-load', 'load of a register / from C', 2, `registers ${first}`, 'load'),
  against('access-store', 'store to a register / from C', 2, `registers ${first}`, 'store'),
  against(
    'access-nvme',
    'NVMe read of 4 KiB, 32 under way / from C',
    2,
    `nvme ${disk} ${String(READS)}`,
    'read',
  ),
  // No bound: what a callback costs beside poll() is Node's event loop.
  against(
    'access-interrupt',
    'from a register to the callback / to poll() in C',
    null,
    `interrupt ${first}`,
    'interrupt',
  ),
  {
    name: 'access-merge',
    title: `256 MiB for ${String(EDU_COUNT)} groups in one context / for one group`,
    ...{ bound: 1.15, goal: null, unit: '', tools: [COMPILER], obstacle: needsCompiler },
    measure: measureMerging,
  },
  {
    name: 'access-call',
    title: 'an ioctl that does nothing, on this processor / from C',
    ...{ bound: null, goal: null, unit: '', tools: [COMPILER], obstacle: needsCompiler },
    measure: measureCall,
  },
]

function against(
  name: string,
  title: string,
  bound: number | null,
  words: string,
  figure: string,
): Benchmark {
  return {
    ...{ name, title, bound, goal: null, unit: '', tools: [COMPILER], obstacle: needsCompiler },
    measure: async (bench) =>
      compare(await inTurns(await theGuest(bench), words, bench.rounds), figure),
  }
}

function compare({ ours: own, c }: Pair, figure: string): Measured {
  const unit = figure === 'map2m' ? 'ms' : 'ns'
  const [ours, theirs] = [valuesOf(own, figure), valuesOf(c, figure)]
  return {
    value: median(ours) / median(theirs),
    details: [line('isogroup', ours, unit), line('C', theirs, unit)],
  }
}

function valuesOf(runs: readonly Figures[], figure: string): readonly number[] {
  return runs.map((run) => run[figure] ?? NaN)
}

/** Side by side for 1, 2, 4, 8 groups: a context for each, and one for all. */
async function measureMerging(bench: Bench): Promise<Measured> {
  const guest = await theGuest(bench)
  const details: string[] = []
  const merged = new Map<number, number>()
  for (const count of [1, 2, 4, 8]) {
    const addresses = edu.slice(0, count).join(' ')
    const runs = async (what: string): Promise<readonly Figures[]> => {
      const all: Figures[] = []
      for (let round = 0; round < bench.rounds; round++) {
        all.push(await run(guest, `node /app/${GUEST_PROGRAM} ${what} ${addresses}`))
      }
      return all
    }
    const [apart, together] = [await runs('separate'), await runs('merged')]
    merged.set(count, median(valuesOf(together, 'map2m')))
    const show = (what: readonly Figures[]): string =>
      `${median(valuesOf(what, 'map2m')).toFixed(1)} ms, ${String(what[0]?.['pages'] ?? 'unknown')} pages of tables`
    details.push(`${String(count)} groups: apart ${show(apart)}; merged ${show(together)}`)
  }
  return { value: (merged.get(EDU_COUNT) ?? NaN) / (merged.get(1) ?? NaN), details }
}

/** Not in a guest: what a call costs on a processor that is not emulated. */
async function measureCall({ rounds }: Bench): Promise<Measured> {
  const projectRoot = findProjectRoot()
  await buildForGuest(PROGRAMS)
  const runs = (command: string, args: readonly string[]): readonly Figures[] =>
    Array.from({ length: rounds }, () => {
      const { stdout } = spawnSync(command, args, { encoding: 'utf8' })
      return JSON.parse(stdout) as Figures
    })
  const ours = runs(process.execPath, [join(projectRoot, GUEST_PROGRAM), 'ioctl'])
  return compare({ ours, c: runs(join(projectRoot, C_PROGRAM), ['ioctl']) }, 'ioctl')
}

async function inTurns(guest: Guest, words: string, rounds: number): Promise<Pair> {
  const pair = { ours: [] as Figures[], c: [] as Figures[] }
  for (let round = 0; round < rounds; round++) {
    pair.ours.push(await run(guest, `node /app/${GUEST_PROGRAM} ${words}`))
    pair.c.push(await run(guest, `/app/${C_PROGRAM} ${words}`))
  }
  return pair
}

async function run(guest: Guest, command: string): Promise<Figures> {
  const { code, stdout, stderr } = await guest.run({ run: command, deadlineMs: DEADLINE_MS })
  if (code !== 0) throw new Error(`in the guest: ${command}: ${stderr}`)
  return JSON.parse(stdout.toString('utf8')) as Figures
}

let booted: Promise<Guest> | undefined

/** One guest for all measurements. */
function theGuest({ atEnd }: Bench): Promise<Guest> {
  booted ??= bootMachine().then((guest) => {
    atEnd(() => guest.shutDown())
    return guest
  })
  return booted
}

async function bootMachine(): Promise<Guest> {
  await prepareLab()
  const guest = await bootBenchGuest(machine, PROGRAMS)
  await guest.run({ run: settle })
  return guest
}

function line(name: string, runs: readonly number[], unit: string): string {
  const [least, most] = [Math.min(...runs), Math.max(...runs)]
  const digits = unit === 'ms' || most < 1000 ? 1 : 0
  return `${name}: ${median(runs).toFixed(digits)} ${unit} (${least.toFixed(digits)} to ${most.toFixed(digits)})`
}
