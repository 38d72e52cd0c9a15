/**
 * Newcomers in groups that are claimed, opened by their user, or nobody's, while `isogroup guard` runs:
 * plugged into conventional buses, each of which is one group, from outside and at random. When the guard
 * has settled no kernel driver may be in a claimed group, and a group that nobody claimed is left alone.
 *
 * The kernel's own events, written down by another process, tell whether the guard was faster than the
 * driver, and how long the group was not whole.
 */
import { settleScript, startConversation } from '../claim/conversation.ts'
import { buildClaimPrograms, holdProgram, listenProgram } from '../claim/programs.ts'
import { type Plug, readEvents, summarize } from '../claim/newcomers.ts'
import { driverIn, readState } from '../claim/state.ts'
import { kernelSeriesAll } from '../kernels.ts'
import { Random } from '../random.ts'
import { bridge, endpoint, rootPort, slotOf, type Topology } from '../topology.ts'
import type { CaseWorld, LabCase, LabFinding } from './case.ts'

const STANDING_COUNT = 8
const STANDING_SEED = 1
/** Once in so many newcomers the guard is dead when it comes, and started again afterwards. */
const RESTART_EVERY = 8
const SETTLE_ATTEMPTS = 150

const bus = rootPort(bridge('pcie-pci-bridge', [slotOf(1, endpoint('edu'))]))

/** Devices are numbered as they are written: the conventional buses are d2, d5 and d8. */
const topology: Topology = {
  slots: [slotOf(1, bus), slotOf(2, bus), slotOf(3, bus)],
  extraRootBuses: [],
}

const groups = [
  { kind: 'claimed', bus: 'd2', prefix: '0000:02', resident: '0000:02:01.0' },
  { kind: 'opened', bus: 'd5', prefix: '0000:04', resident: '0000:04:01.0' },
  { kind: 'unclaimed', bus: 'd8', prefix: '0000:06', resident: '0000:06:01.0' },
] as const

const newcomers = [
  { driver: 'e1000', home: 'e1000', properties: { romfile: '' } },
  { driver: 'virtio-rng-pci', home: 'virtio-pci', properties: { 'disable-legacy': 'on' } },
] as const

export function claimHotPlugCases(
  count: number = STANDING_COUNT,
  seed: number = STANDING_SEED,
): readonly LabCase[] {
  return kernelSeriesAll.map((kernel) => {
    const name = `claim-hot-plug-${kernel}`
    return {
      name,
      kernel,
      machine: { name, iommu: 'intel-iommu', topology },
      replay: `--only ${name} --hot-plug ${count} --seed ${seed}`,
      prepare: buildClaimPrograms,
      run: (world) => runHotPlug(world, count, new Random(seed)),
    }
  })
}

async function runHotPlug(
  world: CaseWorld,
  count: number,
  random: Random,
): Promise<readonly LabFinding[]> {
  await world.guest.run({ run: settleScript })
  const talk = await startConversation(world)
  const [claimed, opened] = groups
  await talk.isogroup(`claim ${claimed.resident} ${opened.resident} --yes`, 0)
  const link = `/sys/bus/pci/devices/${opened.resident}/iommu_group`
  await talk.prepare(
    start('hold', `node ${holdProgram} $(basename $(readlink ${link})) ${opened.resident}`),
  )
  await talk.prepare(start('listen', `node ${listenProgram}`))
  await talk.prepare(start('guard', 'isogroup guard'))
  const plugs: Plug[] = []
  for (let n = 1; n <= count; n += 1) {
    const { plug, findings } = await plugOne(world, random, n)
    plugs.push(plug)
    talk.findings.push(...findings)
  }
  const events = await talk.prepare('cat /tmp/listen')
  world.keepEvidence('events.txt', events)
  world.keepEvidence('guard.txt', await talk.prepare('cat /tmp/guard'))
  for (const line of summarize(plugs, readEvents(events))) world.say(line)
  await talk.prepare('kill -INT $(cat /tmp/guard.pid); kill $(cat /tmp/hold.pid); sleep 1')
  await talk.isogroup(`release ${claimed.resident}`, 0)
  await talk.expectSame('after all newcomers have gone')
  return talk.findings
}

async function plugOne(
  { guest }: CaseWorld,
  random: Random,
  n: number,
): Promise<{ readonly plug: Plug; readonly findings: readonly LabFinding[] }> {
  const group = groups[random.between(0, groups.length - 1)] ?? groups[0]
  const device = newcomers[random.between(0, newcomers.length - 1)] ?? newcomers[0]
  const slot = random.between(2, 9)
  const address = `${group.prefix}:${slot.toString(16).padStart(2, '0')}.0`
  const guarded = n % RESTART_EVERY !== 0
  const control = await guest.control()
  const { driver, properties } = device
  if (!guarded) await guest.run({ run: 'kill -9 $(cat /tmp/guard.pid)' })
  const id = `n${String(n)}`
  await control.addDevice({ driver, id, bus: group.bus, addr: slot.toString(16), ...properties })
  if (!guarded) {
    await guest.run({ run: waitForDriver(address, device.home) })
    await guest.run({ run: start('guard', 'isogroup guard') })
  }
  const wanted = group.kind === 'unclaimed' ? device.home : 'vfio-pci'
  await guest.run({ run: waitForDriver(address, wanted) })
  const state = await readState(guest)
  const found = driverIn(state, address)
  const findings: LabFinding[] = []
  if (found !== wanted) {
    const check = `newcomer ${String(n)}, ${driver} ${address} in a group that is ${group.kind}`
    findings.push({ check, detail: `driver ${found ?? 'none'} instead of ${wanted}` })
  }
  await control.removeDevice(id)
  await guest.run({ run: waitUntilGone(address) })
  const plug = { kind: group.kind, address, home: device.home, guarded }
  return { plug, findings }
}

/** Starts a program that goes on, and waits until it has said something. */
function start(name: string, command: string): string {
  return `${command} >>/tmp/${name} 2>&1 3<&- &
echo $! >/tmp/${name}.pid
for try in $(seq ${SETTLE_ATTEMPTS}); do
  [ -s /tmp/${name} ] && break
  usleep 100000
done
kill -0 $(cat /tmp/${name}.pid) && exit 0
cat /tmp/${name}
exit 1`
}

function waitForDriver(address: string, driver: string): string {
  const link = `/sys/bus/pci/devices/${address}/driver`
  return `for try in $(seq ${SETTLE_ATTEMPTS}); do
  [ /sys/bus/pci/drivers/${driver} -ef ${link} ] && exit 0
  usleep 100000
done
exit 1`
}

function waitUntilGone(address: string): string {
  return `for try in $(seq ${SETTLE_ATTEMPTS}); do
  [ -e /sys/bus/pci/devices/${address} ] || exit 0
  usleep 100000
done
exit 1`
}
