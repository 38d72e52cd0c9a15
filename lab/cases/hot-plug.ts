/**
 * Devices that come and go while the host runs: plugged into a port, into a port without ACS and
 * behind a conventional bridge, then taken out again. The prediction must follow each time.
 */
import { type ActualDevice, actualScript, loadDriversScript, parseActual } from '../actual.ts'
import { kernelSeriesAll } from '../kernels.ts'
import { bridge, endpoint, rootPort, slotOf, type Topology, withoutAcs } from '../topology.ts'
import type { CaseWorld, LabCase, LabFinding } from './case.ts'
import { checkEnd, checkPrediction } from './checks.ts'
import { attempt, text } from './inspect.ts'

const presenceAttempts = 150

/** Devices are numbered in the order in which they are written: d1, d2, d3 and d4 are bridges. */
const topology: Topology = {
  slots: [
    slotOf(1, rootPort()),
    slotOf(2, withoutAcs(rootPort())),
    slotOf(3, rootPort(bridge('pcie-pci-bridge', [slotOf(1, endpoint('edu'))]))),
  ],
  extraRootBuses: [],
}

/** Not qemu-xhci: QEMU 7.2 never finishes taking one out when no driver is bound to it. */
const newcomers = [
  { id: 'new1', driver: 'virtio-rng-pci', bus: 'd1', address: '0000:01:00.0' },
  { id: 'new2', driver: 'virtio-rng-pci', bus: 'd2', address: '0000:02:00.0' },
  { id: 'new3', driver: 'edu', bus: 'd4', addr: '3', address: '0000:04:03.0' },
] as const

export function hotPlugCases(): readonly LabCase[] {
  return kernelSeriesAll.map((kernel) => {
    const name = `hot-plug-${kernel}`
    const machine = { name, iommu: 'intel-iommu', topology } as const
    return { name, kernel, machine, replay: `--only ${name}`, run: runHotPlug }
  })
}

async function runHotPlug(world: CaseWorld): Promise<readonly LabFinding[]> {
  await world.guest.run({ run: loadDriversScript })
  const control = await world.guest.control()
  const before = await checkNow(world, 'before')
  for (const { address, ...properties } of newcomers) {
    await control.addDevice(properties)
    await waitForDevice(world, address)
  }
  const plugged = await checkNow(world, 'with the newcomers')
  for (const { id } of newcomers) await control.removeDevice(id)
  const after = await checkNow(world, 'after removal')
  const places = newcomers.map(({ address }) => address)
  const missing = places.filter((place) => !hasGroup(plugged.devices, place))
  const left = places.filter((place) => hasGroup(after.devices, place))
  return [
    ...before.findings,
    ...plugged.findings,
    ...after.findings,
    ...missing.map((place) => ({ check: 'newcomers have groups', detail: `${place} has none` })),
    ...left.map((place) => ({ check: 'removal', detail: `${place} is still there` })),
  ]
}

type Moment = {
  readonly devices: readonly ActualDevice[]
  readonly findings: readonly LabFinding[]
}

async function checkNow(world: CaseWorld, when: string): Promise<Moment> {
  const actual = await world.guest.run({ run: actualScript })
  const predicted = await world.guest.run({ run: 'isogroup predict --json' })
  world.keepEvidence(`predict ${when}.json`, predicted.stdout)
  const devices = parseActual(text(actual))
  const findings = [
    ...checkEnd(`predict --json ${when}`, predicted),
    ...attempt(`predict --json ${when}`, () => checkPrediction(devices, text(predicted))),
  ]
  return { devices, findings }
}

/** The kernel polls slots and waits before it believes a newcomer. */
async function waitForDevice(world: CaseWorld, address: string): Promise<void> {
  const link = `/sys/bus/pci/devices/${address}/iommu_group`
  const script = `for try in $(seq ${presenceAttempts}); do
  [ -e ${link} ] && exit 0
  usleep 100000
done
exit 1`
  const waited = await world.guest.run({ run: script })
  if (waited.code !== 0) throw new Error(`${address} was plugged in but got no group`)
}

function hasGroup(devices: readonly ActualDevice[], address: string): boolean {
  return devices.some((device) => device.address === address && device.group !== undefined)
}
