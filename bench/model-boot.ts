/**
 * Large machines on the model: what a function costs to boot and to show must not grow with their number.
 * Machines are root ports with a card each, so that every function is a group of its own.
 */
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
    title: `model: cost per function of looking at ${String(MANY)} / ${String(FEWEST)} functions`,
    bound: 1.5,
    goal: null,
    unit: '',
    obstacle: () => null,
    measure: (bench) => Promise.resolve(measureLook(bench)),
  },
]

/** Half of them ports, half cards. */
function machineOf(functions: number): MachineDescription {
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
  const { form } = parseModel({
    ...{ format: 'isogroup-model', version: 1, name: 'bench', title: 'bench', buses },
    memory: '64 GiB',
    iommu: { kind: 'intel', units: [UNIT] },
  })
  return buildMachine(form)
}

function booted(machine: MachineDescription): Model {
  const model = bootModel(machine)
  if (model.iommu.groups.size !== machine.functions.length) {
    throw new Error(`${String(model.iommu.groups.size)} groups of ${machine.title}`)
  }
  return model
}

function measureBoot({ rounds }: Bench): Measured {
  const [few, many] = [FEW, MANY].map(machineOf)
  if (few === undefined || many === undefined) throw new Error('nothing was built')
  booted(few)
  const small = medianTime(rounds, () => booted(few))
  const large = medianTime(Math.min(rounds, 3), () => booted(many))
  return {
    value: large / small,
    details: [
      `${String(FEW)} functions: ${small.toFixed(0)} ms`,
      `${String(MANY)} functions: ${large.toFixed(0)} ms`,
    ],
  }
}

function measureLook({ rounds }: Bench): Measured {
  const perFunction = (functions: number): number => {
    const kernel = modelKernel(booted(machineOf(functions)), {
      clock: { after: () => () => undefined },
    })
    const repeats = Math.max(1, Math.round(2000 / functions))
    const look = (): void => {
      for (let n = 0; n < repeats; n += 1) {
        const snapshot = linuxHost(kernel, 'bench').snapshot()
        JSON.stringify(snapshot)
        assess(snapshot, buildTopology(snapshot), rulesFor(snapshot, null))
      }
    }
    look()
    return (medianTime(rounds, look) * 1000) / (functions * repeats)
  }
  const small = perFunction(FEWEST)
  const large = perFunction(MANY)
  return {
    value: large / small,
    details: [
      `${String(FEWEST)} functions: ${small.toFixed(1)} us per function`,
      `${String(MANY)} functions: ${large.toFixed(1)} us per function`,
    ],
  }
}

function medianTime(rounds: number, work: () => unknown): number {
  const runs = Array.from({ length: rounds }, () => {
    const started = performance.now()
    work()
    return performance.now() - started
  }).sort((a, b) => a - b)
  return runs[runs.length >> 1] ?? Number.NaN
}
