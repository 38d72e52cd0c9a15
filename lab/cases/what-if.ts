/**
 * What-if questions, answered by QEMU: a machine is booted and captured, `isogroup what-if` says of the
 * capture what changes would make of it, and the changed machine is built and booted. Groups, by the addresses
 * that what-if gives, and the strength and use of every group must be as it said.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  actualScript,
  createVirtualFunctionsScript,
  loadDriversScript,
  parseActual,
} from '../actual.ts'
import type { Guest } from '../guest.ts'
import { type KernelSeries, kernelSeriesAll } from '../kernels.ts'
import { actualPartition } from '../partition.ts'
import { runProcess } from '../process.ts'
import type { Iommu, Machine } from '../qemu.ts'
import { Random } from '../random.ts'
import { randomChanges } from '../random-changes.ts'
import { randomTopology } from '../random-topology.ts'
import {
  bridge,
  describeTopology,
  endpoint,
  pcieSwitch,
  type Piece,
  rootPort,
  slotOf,
  type Topology,
  withoutAcs,
} from '../topology.ts'
import { readAfter, readAssessed } from './answers.ts'
import type { CaseWorld, LabCase, LabFinding } from './case.ts'
import { checkEnd, comparePartitions } from './checks.ts'
import { attempt, text } from './inspect.ts'

/** Changes in words, and the machine that they make, as a person would build it. */
type Question = {
  readonly name: string
  readonly changes: readonly string[]
  readonly kernel: KernelSeries
  readonly machine: Machine
  readonly virtualFunctions: VirtualFunctions
}

/** How many, by address, or as many as there can be. */
type VirtualFunctions = Readonly<Record<string, number>> | 'all'

const nic = endpoint('e1000e')
const conventionalNic = endpoint('e1000')
const edu = endpoint('edu')
const nvme = endpoint('nvme', { virtualFunctions: 2 })

/** A switch with something below its first port, and room below the second. */
const branching = pcieSwitch(nic, bridge('pcie-pci-bridge', [slotOf(2, conventionalNic)]))

function topologyOf(...pieces: readonly Piece[]): Topology {
  return { slots: pieces.map((piece, index) => slotOf(index + 1, piece)), extraRootBuses: [] }
}

/** Ports 1 to 7; their buses are numbered in the order of the slots. */
const intelBefore = topologyOf(
  rootPort(nic),
  withoutAcs(rootPort(edu)),
  rootPort(),
  withoutAcs(rootPort(branching)),
  rootPort(nvme),
  rootPort(bridge('pcie-pci-bridge', [slotOf(1, conventionalNic), slotOf(2, edu)])),
  rootPort(edu),
)
/** Port 1 loses ACS, port 2 gets it, the switch moves to port 3, devices come and go. */
const intelAfter = topologyOf(
  withoutAcs(rootPort(nic)),
  rootPort(edu),
  rootPort(branching),
  withoutAcs(rootPort(nic)),
  rootPort(nvme),
  rootPort(bridge('pcie-pci-bridge', [slotOf(1, edu), slotOf(2, edu)])),
  rootPort(),
)

const amdBefore = topologyOf(rootPort(nic), withoutAcs(rootPort(edu)), rootPort(branching))
/** Without its card, port 2 is moved to by the card of port 1. */
const amdAfter = topologyOf(rootPort(), withoutAcs(rootPort(nic)), withoutAcs(rootPort(branching)))

function machineOf(
  name: string,
  iommu: Iommu,
  topology: Topology,
  interruptRemapping = true,
): Machine {
  return { name, iommu, topology, interruptRemapping }
}

export function whatIfCases(): readonly LabCase[] {
  const intel = machineOf('what-if-6.1', 'intel-iommu', intelBefore)
  const amd = machineOf('what-if-6.12', 'amd-iommu', amdBefore)
  return [
    whatIfCase('6.1', intel, { '0000:09:00.0': 2 }, [
      {
        name: 'other places',
        changes: [
          ...['acs=off@00:01.0', 'acs=on@00:02.0', 'move 04:00.0 00:03.0', 'add nic 00:04.0'],
          ...['vfs 09:00.0 1', 'remove 0b:01.0', 'add edu 0a:00.0', 'remove 0c:00.0'],
        ],
        kernel: '6.1',
        machine: machineOf('what-if-other-places', 'intel-iommu', intelAfter),
        virtualFunctions: { '0000:09:00.0': 1 },
      },
      {
        name: 'other kernel, no interrupt remapping',
        changes: ['kernel=6.12', 'intremap=off'],
        kernel: '6.12',
        machine: machineOf('what-if-intremap-off', 'intel-iommu', intelBefore, false),
        virtualFunctions: { '0000:09:00.0': 2 },
      },
    ]),
    whatIfCase('6.12', amd, {}, [
      {
        name: 'everything at once',
        changes: [
          ...['remove 02:00.0', 'move 01:00.0 00:02.0', 'acs=off@00:03.0', 'kernel=6.1'],
          'intremap=off',
        ],
        kernel: '6.1',
        machine: machineOf('what-if-everything', 'amd-iommu', amdAfter, false),
        virtualFunctions: {},
      },
    ]),
  ]
}

/** Changes of one random machine. */
const changesMax = 5

/** Random changes of random machines, a case for each of `count` consecutive seeds. */
export function randomWhatIfCases(count: number, firstSeed: number): readonly LabCase[] {
  return Array.from({ length: count }, (_, index) => randomWhatIf(firstSeed + index))
}

function randomWhatIf(seed: number): LabCase {
  const random = new Random(seed ^ 0xc4a6e)
  const iommu: Iommu = random.percent(65) ? 'intel-iommu' : 'amd-iommu'
  const [kernel, other] = random.percent(50) ? kernelSeriesAll : kernelSeriesAll.toReversed()
  if (kernel === undefined || other === undefined) throw new Error('the lab needs two kernels')
  const before = randomTopology(seed, iommu)
  const { words, topology } = randomChanges(random, before, changesMax)
  const remaps = random.percent(70)
  const after = random.percent(70) ? kernel : other
  const changes = [...words, ...(remaps ? [] : ['intremap=off']), `kernel=${after}`]
  const name = `what-if-random-${seed}`
  const question: Question = {
    name: changes.join(' '),
    changes,
    kernel: after,
    machine: machineOf(`${name}-after`, iommu, topology, remaps),
    virtualFunctions: 'all',
  }
  const replay = `--what-if 1 --seed ${seed}`
  return { ...whatIfCase(kernel, machineOf(name, iommu, before), 'all', [question]), replay }
}

function whatIfCase(
  kernel: KernelSeries,
  machine: Machine,
  virtualFunctions: VirtualFunctions,
  questions: readonly Question[],
): LabCase {
  return {
    name: machine.name,
    kernel,
    otherKernels: questions.map((question) => question.kernel),
    machine,
    replay: `--only ${machine.name}`,
    run: async (world) => {
      const path = await capture(world, virtualFunctions)
      const findings: LabFinding[] = []
      for (const question of questions) findings.push(...(await ask(world, path, question)))
      return findings
    },
  }
}

/** @returns the capture's path outside the guest */
async function capture(world: CaseWorld, virtualFunctions: VirtualFunctions): Promise<string> {
  const inside = '/tmp/c.isocap'
  await settle(world.guest, virtualFunctions)
  const captured = await world.guest.run({ run: `isogroup capture ${inside}`, fetch: [inside] })
  const content = captured.files.get(inside)
  if (content === undefined) throw new Error(`no capture: ${captured.stderr}`)
  const path = join(world.scratch, 'c.isocap')
  await writeFile(path, content)
  world.keepEvidence('c.isocap', content)
  return path
}

async function settle(guest: Guest, virtualFunctions: VirtualFunctions): Promise<void> {
  await guest.run({ run: loadDriversScript })
  if (virtualFunctions === 'all') {
    await guest.run({ run: createVirtualFunctionsScript })
    return
  }
  for (const [address, count] of Object.entries(virtualFunctions)) {
    const file = `/sys/bus/pci/devices/${address}/sriov_numvfs`
    const made = await guest.run({ run: `echo ${count} >${file}` })
    if (made.code !== 0) throw new Error(`${file}: ${made.stderr}`)
  }
}

async function ask(
  world: CaseWorld,
  path: string,
  question: Question,
): Promise<readonly LabFinding[]> {
  const { name, changes, kernel, machine, virtualFunctions } = question
  const entry = join(world.program.projectRoot, world.program.entry)
  const words = [entry, '--host', `file:${path}`, 'what-if', '--json', ...changes]
  const said = await runProcess(process.execPath, words, { deadlineMs: 120_000 })
  world.keepEvidence(`what-if ${machine.name}.json`, said.stdout)
  const wrong = checkEnd(`what-if: ${name}`, said)
  if (wrong.length > 0) return wrong
  const guest = await world.boot(machine, kernel)
  await settle(guest, virtualFunctions)
  const actual = parseActual(text(await guest.run({ run: actualScript })))
  const listed = text(await guest.run({ run: 'isogroup ls --json' }))
  world.keepEvidence(`truth ${machine.name}.json`, listed)
  world.keepEvidence(`topology ${machine.name}.txt`, describeTopology(machine.topology))
  return attempt(`what-if: ${name}`, () => {
    const after = readAfter(said.stdout.toString('utf8'))
    return [
      ...comparePartitions(`what-if: ${name}: groups`, actualPartition(actual), after.partition),
      ...compareLines(`what-if: ${name}: strength and use`, readAssessed(listed), after.assessed),
    ]
  })
}

function compareLines(
  check: string,
  truth: readonly string[],
  said: readonly string[],
): readonly LabFinding[] {
  const lines = [
    ...truth.filter((line) => !said.includes(line)).map((line) => `truth: ${line}`),
    ...said.filter((line) => !truth.includes(line)).map((line) => `said:  ${line}`),
  ].sort((a, b) => (a.slice(7) < b.slice(7) ? -1 : 1))
  return lines.length === 0 ? [] : [{ check, detail: lines.join('\n') }]
}
