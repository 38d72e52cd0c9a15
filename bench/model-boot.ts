/**
 * Large machines on the model: what a function costs to boot and to show must not grow with their number.
 * Machines are root ports with a card each, so that every function is a group of its own.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assess } from '../src/isolation/assess/assess.ts'
import { rulesFor } from '../src/isolation/groups/rules.ts'
import { buildTopology } from '../src/isolation/topology/topology.ts'
import { linuxHost } from '../src/linux/linux-host.ts'
import { buildMachine } from '../src/model/machine/builder.ts'
import type { MachineDescription } from '../src/model/machine/description.ts'
import { bootModel, type Model } from '../src/model/model.ts'
import { modelKernel } from '../src/model/model-kernel.ts'
import { parseModel } from '../src/open/model-file.ts'
import type { Bench, Benchmark, Measured } from './benchmark.ts'
import { type Contender, takeTurns } from './measure.ts'
import { lsOf } from './peers.ts'

const MANY = 10_000
const FEW = 1_000
const FEWEST = 100
/** 65536 domain ids, which a host with so many groups needs. */
const UNIT = { name: 'dmar0', attributes: { cap: '8d2078c106f0466', ecap: 'f020df' } }
/** Bus numbers of a domain are 256: the root bus, and one for each port. */
const PORTS_MAX = 250

export const MODEL_BOOT_BENCHMARKS: readonly Benchmark[] = [
  {
    name: 'model-boot',
    title: `model: booting ${String(MANY)} functions / ${String(FEW)} functions`,
    bound: 12,
    goal: null,
    unit: '',
    obstacle: () => null,
    measure: (bench) => Promise.resolve(measureBoot(bench)),
  },
  {
    name: 'model-ls',
    title: `model: cost per function of ls, ${String(MANY)} / ${String(FEWEST)} functions`,
    bound: 1.5,
    goal: null,
    unit: '',
    obstacle: () => null,
    measure: measureLook,
  },
]

function machineOf(functions: number): MachineDescription {
  return buildMachine(parseModel(machineText(functions)).form)
}

/** Half of them ports, half cards. */
function machineText(functions: number): object {
  const buses: unknown[] = []
  for (let left = functions / 2; left > 0; left -= PORTS_MAX) {
    const ports = Math.min(left, PORTS_MAX)
    const devices = Array.from({ length: Math.ceil(ports / 8) }, (_, slot) => ({
      functions: Array.from({ length: Math.min(8, ports - 8 * slot) }, (_unused, n) => ({
        kind: 'root-port',
        below: [{ kind: n % 2 === 0 ? 'nic' : 'nvme' }],
      })),
    }))
    buses.push({ bus: `${buses.length.toString(16).padStart(4, '0')}:00`, devices })
  }
  return {
    ...{ format: 'isogroup-model', version: 1, name: 'bench', title: 'bench', buses },
    memory: '64 GiB',
    iommu: { kind: 'intel', units: [UNIT] },
  }
}

function booted(machine: MachineDescription): Model {
  const model = bootModel(machine)
  if (model.iommu.groups.size !== machine.functions.length) {
    throw new Error(`${String(model.iommu.groups.size)} groups of ${machine.title}`)
  }
  return model
}

/**
 * Ten small machines against one large one, in turns: both boot as many functions, in as much time. The
 * best of each counts: other programs only ever make one slower.
 */
function measureBoot({ rounds }: Bench): Measured {
  const [few, many] = [FEW, MANY].map(machineOf)
  if (few === undefined || many === undefined) throw new Error('nothing was built')
  const copies = MANY / FEW
  const bootFew = (): void => {
    for (let n = 0; n < copies; n += 1) booted(few)
  }
  bootFew()
  const runs = Array.from({ length: rounds }, () => [timeOf(bootFew), timeOf(() => booted(many))])
  const [small = 0, large = 0] = [0, 1].map((n) => Math.min(...runs.map((run) => run[n] ?? 0)))
  return {
    value: (large * copies) / small,
    details: [
      `${String(FEW)} functions: ${(small / copies).toFixed(0)} ms`,
      `${String(MANY)} functions: ${large.toFixed(0)} ms`,
    ],
  }
}

/**
 * What `ls --json` does with a booted machine: reads all it needs through the Kernel port, judges every
 * group, and makes text of it. In this process, so that the start of Node, the same for both, does not make
 * the small machine look dear; what whole commands cost is shown beside it.
 */
async function measureLook(bench: Bench): Promise<Measured> {
  const small = lookPerFunction(FEWEST, bench.rounds)
  const large = lookPerFunction(MANY, bench.rounds)
  const commands = await takeTurns([FEWEST, MANY].map(commandOn(bench)), 3, bench.scratch)
  const whole = commands.map(({ median }) => median.toFixed(0))
  return {
    value: large / small,
    details: [
      `${String(FEWEST)} functions: ${small.toFixed(1)} us per function, the whole command with its boot ${whole[0] ?? ''} ms`,
      `${String(MANY)} functions: ${large.toFixed(1)} us per function, the whole command with its boot ${whole[1] ?? ''} ms`,
    ],
  }
}

/** Microseconds; both sizes look at as many functions in all, so that both give the memory as much to do. */
function lookPerFunction(functions: number, rounds: number): number {
  const kernel = modelKernel(booted(machineOf(functions)), {
    clock: { after: () => () => undefined },
  })
  const look = (): void => {
    for (let seen = 0; seen < MANY; seen += functions) {
      const snapshot = linuxHost(kernel, 'bench').snapshot()
      const assessment = assess(snapshot, buildTopology(snapshot), rulesFor(snapshot, null))
      if (assessment.groups.length !== functions) throw new Error('not every group was seen')
    }
  }
  look()
  return (Math.min(...Array.from({ length: rounds }, () => timeOf(look))) * 1000) / MANY
}

function commandOn({ scratch }: Bench): (functions: number) => Contender {
  return (functions) => {
    const file = join(scratch, `model-${String(functions)}.json`)
    writeFileSync(file, JSON.stringify(machineText(functions)))
    return { ...lsOf(`file:${file}`, functions), name: `ls --json of ${String(functions)}` }
  }
}

function timeOf(work: () => unknown): number {
  const started = performance.now()
  work()
  return performance.now() - started
}
