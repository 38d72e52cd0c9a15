/**
 * Two traps of real kernels, on a small machine without interrupt remapping: interrupts that a device
 * could forge, and a function that leaves its group when it is removed and added again.
 */
import { actualScript, type ActualDevice, loadDriversScript, parseActual } from '../actual.ts'
import { kernelSeriesAll } from '../kernels.ts'
import { endpoint, rootPort, slotOf, type Topology } from '../topology.ts'
import { readVerdicts, readWarnings } from './answers.ts'
import type { CaseWorld, LabCase, LabFinding } from './case.ts'
import { checkEnd, checkPrediction } from './checks.ts'
import { attempt, text } from './inspect.ts'

/** QEMU's e1000e leaves the header bit of function 1 clear. */
const topology: Topology = {
  slots: [slotOf(1, rootPort(endpoint('e1000e'), endpoint('e1000e'))), slotOf(2, rootPort())],
  extraRootBuses: [],
}
const first = '0000:01:00.0'
const second = '0000:01:00.1'

export function trapCases(): readonly LabCase[] {
  return kernelSeriesAll.map((kernel) => {
    const name = `traps-${kernel}`
    const machine = { name, iommu: 'intel-iommu', interruptRemapping: false, topology } as const
    return { name, kernel, machine, replay: `--only ${name}`, run: runTraps }
  })
}

async function runTraps(world: CaseWorld): Promise<readonly LabFinding[]> {
  const { guest } = world
  await guest.run({ run: loadDriversScript })
  const listed = await guest.run({ run: 'isogroup ls --json' })
  const before = await guest.run({ run: 'isogroup predict --json' })
  const devices = parseActual(text(await guest.run({ run: actualScript })))
  const path = `/sys/bus/pci/devices/${second}/remove`
  const again = await guest.run({ run: `echo 1 > ${path} && echo 1 > /sys/bus/pci/rescan` })
  const after = parseActual(text(await guest.run({ run: actualScript })))
  world.keepEvidence('ls.json', listed.stdout)
  world.keepEvidence('predict.json', before.stdout)
  return [
    ...checkEnd('ls --json', listed),
    ...checkEnd('remove and rescan', again),
    ...attempt('predict --json', () => checkPrediction(devices, text(before))),
    ...attempt('interrupts', () => checkInterrupts(text(listed))),
    ...attempt('hot add', () => checkHotAdd(text(before), devices, after)),
  ]
}

function checkInterrupts(listed: string): readonly LabFinding[] {
  const verdicts = readVerdicts(listed, 'msi')
  if (verdicts.size === 1 && verdicts.has('no')) return []
  const detail = [...verdicts].map(([verdict, count]) => `${verdict}: ${String(count)}`).join(', ')
  return [{ check: 'no group has isolated interrupts', detail }]
}

/** The warning says that the function will get a group of its own: the kernel must agree. */
function checkHotAdd(
  predicted: string,
  before: readonly ActualDevice[],
  after: readonly ActualDevice[],
): readonly LabFinding[] {
  const findings: LabFinding[] = []
  if (!readWarnings(predicted).includes(`GRP-HOTPLUG-SPLIT ${second}`)) {
    findings.push({ check: 'warning', detail: `no GRP-HOTPLUG-SPLIT about ${second}` })
  }
  const together = (devices: readonly ActualDevice[]): boolean =>
    groupOf(devices, first) !== undefined && groupOf(devices, first) === groupOf(devices, second)
  if (!together(before)) findings.push({ check: 'boot', detail: 'the functions are apart' })
  if (groupOf(after, second) === undefined || together(after)) {
    findings.push({ check: 'after remove and rescan', detail: 'the functions are still together' })
  }
  return findings
}

function groupOf(devices: readonly ActualDevice[], address: string): string | undefined {
  return devices.find((device) => device.address === address)?.group
}
