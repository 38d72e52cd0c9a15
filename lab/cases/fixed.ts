/** The standing cases: the fixed machine under each IOMMU and each kernel. */
import type { ActualDevice } from '../actual.ts'
import { kernelSeriesAll } from '../kernels.ts'
import { fixedIommus, fixedMachine, goldenGroups } from '../machines.ts'
import { actualPartition, normalPartition, restrictPartition } from '../partition.ts'
import type { Iommu } from '../qemu.ts'
import type { LabCase, LabFinding } from './case.ts'
import { checkExpectedGroups, comparePartitions } from './checks.ts'
import { attempt, inspectHost, settleHost } from './inspect.ts'

const golden = normalPartition(goldenGroups.map((group) => group.map((device) => `0000:${device}`)))

export function fixedCases(): readonly LabCase[] {
  return kernelSeriesAll.flatMap((kernel) => {
    return fixedIommus.map((iommu): LabCase => {
      const name = `fixed-${kernel}-${iommu}`
      return {
        name,
        kernel,
        machine: { ...fixedMachine(iommu), name },
        replay: `--only ${name}`,
        run: async (world) => {
          const devices = await settleHost(world)
          const truth = checkTruth(iommu, devices)
          const { findings, predicted } = await inspectHost(world, devices, true)
          if (iommu !== 'none') return [...truth, ...findings]
          const hypothetical = attempt('predict without an IOMMU', () => {
            return checkExpectedGroups(golden, predicted)
          })
          return [...truth, ...findings, ...hypothetical]
        },
      }
    })
  })
}

/** Whether the kernel itself did what we know of it: otherwise the lab proves nothing. */
function checkTruth(iommu: Iommu, devices: readonly ActualDevice[]): readonly LabFinding[] {
  const actual = actualPartition(devices)
  if (iommu === 'none') {
    if (actual.length === 0) return []
    return [{ check: 'no groups without an IOMMU', detail: `${actual.length} groups` }]
  }
  const found = restrictPartition(actual, new Set(golden.flat()))
  return comparePartitions('golden groups of the kernel', golden, found)
}
