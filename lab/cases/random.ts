/**
 * Random machines: one case each. The seed decides kernel, IOMMU and topology, so that a difference
 * can be seen again by anyone.
 */
import { type KernelSeries, kernelSeriesAll } from '../kernels.ts'
import type { Iommu, Machine } from '../qemu.ts'
import { Random } from '../random.ts'
import { randomTopology } from '../random-topology.ts'
import { describeTopology } from '../topology.ts'
import type { LabCase } from './case.ts'
import { checkEnd, checkGroupIds, checkPrediction } from './checks.ts'
import { attempt, settleHost, text } from './inspect.ts'

/** Cases for `count` consecutive seeds. */
export function randomCases(
  count: number,
  firstSeed: number,
  kernel?: KernelSeries,
): readonly LabCase[] {
  return Array.from({ length: count }, (_, index) => randomCase(firstSeed + index, kernel))
}

function randomCase(seed: number, chosenKernel?: KernelSeries): LabCase {
  // Not the generator of the topology: choosing a kernel by hand must not change the machine.
  const random = new Random(seed ^ 0x5eed)
  const iommu: Iommu = random.percent(65) ? 'intel-iommu' : 'amd-iommu'
  const drawnKernel = random.percent(50) ? kernelSeriesAll[0] : kernelSeriesAll[1]
  const kernel = chosenKernel ?? drawnKernel ?? '6.12'
  const topology = randomTopology(seed, iommu)
  const name = `random-${seed}-${kernel}-${iommu}`
  const machine: Machine = { name, iommu, topology }
  return {
    name,
    kernel,
    machine,
    replay: `--random 1 --seed ${seed} --kernel ${kernel}`,
    run: async (world) => {
      const tree = describeTopology(topology)
      world.keepEvidence('topology.txt', tree)
      const devices = await settleHost(world)
      const predicted = await world.guest.run({ run: 'isogroup predict --json' })
      const listed = await world.guest.run({ run: 'isogroup ls --json' })
      world.keepEvidence('predict.json', predicted.stdout)
      world.keepEvidence('ls.json', listed.stdout)
      const findings = [
        ...checkEnd('predict --json', predicted),
        ...checkEnd('ls --json', listed),
        ...attempt('predict --json', () => checkPrediction(devices, text(predicted))),
        ...attempt('ls --json', () => checkGroupIds(devices, text(listed))),
      ]
      return findings.length === 0 ? [] : [...findings, { check: 'topology', detail: tree }]
    },
  }
}
