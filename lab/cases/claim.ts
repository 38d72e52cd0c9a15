/**
 * Claims, refusals and releases on real kernels: after each of them the visible state of every device must
 * be what it was, to the byte, unless the devices are a user's.
 */
import { allOn, type Conversation, settleScript, startConversation } from '../claim/conversation.ts'
import {
  claimMachine,
  disk,
  four,
  lone,
  pair,
  physicalFunction,
  routedNic,
  virtualFunction,
} from '../claim/machine.ts'
import { buildClaimPrograms, holdProgram, hookProgram } from '../claim/programs.ts'
import { compareStates, readState } from '../claim/state.ts'
import { kernelSeriesAll } from '../kernels.ts'
import type { CaseWorld, LabCase, LabFinding } from './case.ts'
import { text } from './inspect.ts'

const openCount = 10_000

export function claimCases(): readonly LabCase[] {
  return kernelSeriesAll.map((kernel) => {
    const name = `claim-${kernel}`
    return {
      name,
      kernel,
      machine: { ...claimMachine, name },
      replay: `--only ${name}`,
      prepare: buildClaimPrograms,
      run: runClaims,
    }
  })
}

async function runClaims(world: CaseWorld): Promise<readonly LabFinding[]> {
  await world.guest.run({ run: settleScript })
  const findings = [...(await compareWithPlainWrites(world))]
  const talk = await startConversation(world)
  const scenes = [
    ...[claimPair, refuseDisk, refuseRoute, refuseBond, claimVirtualFunction],
    ...[rollBack, refuseUser, nothingToDo, confirmNothing, holdDevice, keepSplitGroup],
  ]
  for (const scene of scenes) {
    try {
      await scene(talk)
    } catch (error) {
      // One that cannot go on says so, and the next one is tried all the same.
      talk.expect(scene.name, false, error instanceof Error ? error.message : String(error))
    }
  }
  return [...findings, ...talk.findings]
}

/**
 * What plain writes to sysfs leave behind is the kernel's doing: if a field of the comparison were
 * such a one, every other check here would be about the kernel.
 */
async function compareWithPlainWrites({ guest }: CaseWorld): Promise<readonly LabFinding[]> {
  const before = await readState(guest)
  const plain = `
cd /sys/bus/pci/devices
for device in ${[...four, lone].join(' ')}; do
  home=$(readlink $device/driver)
  home=\${home##*/}
  echo vfio-pci >$device/driver_override
  [ -z "$home" ] || echo $device >/sys/bus/pci/drivers/$home/unbind
  echo $device >/sys/bus/pci/drivers_probe
  echo $device >/sys/bus/pci/drivers/vfio-pci/unbind
  echo >$device/driver_override
  [ -z "$home" ] || echo $device >/sys/bus/pci/drivers/$home/bind
done`
  await guest.run({ run: plain })
  return compareStates('plain writes leave the state', before, await readState(guest))
}

/** Two drivers, a named owner, released by the name of the other member. */
async function claimPair(talk: Conversation): Promise<void> {
  const [first, second] = pair
  await talk.isogroup(`claim ${first} --dry-run`, 0, { says: ['driver_override', second] })
  await talk.expectSame('after a dry run')
  await talk.isogroup(`claim ${first}`, 3)
  await talk.expectSame('after a claim that nobody agreed to')
  await talk.isogroup(`claim ${first} --yes --owner user --reason lab`, 0)
  await talk.expectDrivers('claimed', allOn(pair, 'vfio-pci'))
  const node = await talk.prepare(`stat -c '%u:%g' ${nodeOf(first)}`)
  talk.expect('owner of the node', node === '1000:1000', node)
  await openByUser(talk, first)
  await talk.isogroup(`release ${second}`, 0)
  await talk.expectSame('after claim and release of two functions')
}

/** Opening a node, by anyone, however often, never changes a binding. */
async function openByUser(talk: Conversation, address: string): Promise<void> {
  const before = await readState(talk.guest)
  const loop = `const fs = require('node:fs')
let opened = 0
for (let i = 0; i < ${openCount}; i++) {
  for (const path of process.argv.slice(1)) {
    try { fs.closeSync(fs.openSync(path, 'r+')); opened++ } catch {}
  }
}
console.log(opened)`
  const run = `node -e "${loop}" ${nodeOf(address)} /dev/vfio/vfio /dev/vfio/0`
  const { stdout } = await talk.guest.run({ run, as: 'user' })
  const opened = Number(stdout.toString('utf8'))
  talk.expect('opens by the owner', opened >= openCount, `${opened} opens succeeded`)
  talk.findings.push(
    ...compareStates(`state after ${openCount} opens`, before, await readState(talk.guest)),
  )
}

/** A disk in use is refused, by mounting and by swapping; the same disk out of use is claimed. */
async function refuseDisk(talk: Conversation): Promise<void> {
  const name = await talk.prepare(`ls /sys/bus/pci/devices/${disk}/nvme/*/ | grep -m1 'nvme.n1$'`)
  await talk.prepare(`mke2fs /dev/${name} && mkdir -p /mnt && mount -t ext4 /dev/${name} /mnt`)
  await talk.isogroup(`claim ${disk} --yes`, 3, { says: ['CLAIM-MOUNTED', '/mnt'] })
  await talk.prepare(`umount /mnt && mkswap /dev/${name} && swapon /dev/${name}`)
  await talk.isogroup(`claim ${disk} ${lone} --yes`, 3, { says: ['CLAIM-SWAP'] })
  await talk.prepare(`swapoff /dev/${name}`)
  await talk.expectSame('after refusals of a disk')
  await talk.isogroup(`claim ${disk} --yes`, 0)
  await talk.expectDrivers('claimed', { [disk]: 'vfio-pci' })
  await talk.isogroup(`release ${disk}`, 0)
  // Its partitions and queues come back a while after its driver.
  await talk.prepare(`for try in 1 2 3 4 5 6 7 8; do
  [ -e /dev/${name} ] && exit 0
  usleep 250000
done
exit 1`)
  await talk.expectSame('after claim and release of a disk')
}

async function refuseRoute(talk: Conversation): Promise<void> {
  const name = await talk.prepare(`ls /sys/bus/pci/devices/${routedNic}/net`)
  await talk.prepare(`ifconfig ${name} 10.9.8.7 netmask 255.255.255.0 up &&
route add default gw 10.9.8.1 dev ${name}`)
  await talk.isogroup(`claim ${routedNic} --yes`, 3, { says: ['CLAIM-ROUTE', name] })
  const routes = await talk.prepare('route -n')
  talk.expect('the route is still there', routes.includes('10.9.8.1'), routes)
  await talk.prepare(`ifconfig ${name} 0.0.0.0 down`)
  await talk.expectSame('after the refusal of a network card')
}

/** The address is on the bond, and what the bonding driver puts beside the interfaces is none. */
async function refuseBond(talk: Conversation): Promise<void> {
  const name = await talk.prepare(`ls /sys/bus/pci/devices/${routedNic}/net`)
  const bonds = '/sys/class/net/bonding_masters'
  await talk.prepare(`modprobe bonding max_bonds=0 && echo +bond7 >${bonds} &&
echo +${name} >/sys/class/net/bond7/bonding/slaves && ifconfig bond7 10.9.8.7 up`)
  await talk.isogroup(`claim ${routedNic} --yes`, 3, {
    says: ['CLAIM-ROUTE', 'CLAIM-PORT', 'bond7', '10.9.8.7'],
  })
  await talk.prepare(`ifconfig bond7 down && echo -bond7 >${bonds} && ifconfig ${name} down`)
  await talk.isogroup(`claim ${routedNic} --yes`, 0)
  await talk.isogroup(`release ${routedNic}`, 0)
  await talk.expectSame('after a network card was part of a bond')
}

async function claimVirtualFunction(talk: Conversation): Promise<void> {
  await talk.isogroup(`claim ${physicalFunction} --yes`, 3, { says: ['CLAIM-VFS'] })
  await talk.isogroup(`claim ${virtualFunction} --yes`, 0)
  await talk.expectDrivers('claimed', { [virtualFunction]: 'vfio-pci', [physicalFunction]: 'nvme' })
  await talk.isogroup(`release ${virtualFunction}`, 0)
  await talk.expectSame('after claim and release of a virtual function')
}

/**
 * vfio-pci refuses a physical function whose virtual functions are on. They are switched on behind the
 * program's back, after its checks: all that was done to both groups must be undone.
 */
async function rollBack(talk: Conversation): Promise<void> {
  const count = `/sys/bus/pci/devices/${physicalFunction}/sriov_numvfs`
  await talk.prepare(`echo 0 >${count}`)
  const before = await readState(talk.guest)
  const rival = `LAB_RIVAL='nvme/unbind|${count}|2'`
  const claim = `${rival} NODE_OPTIONS=--import=${hookProgram} \\
isogroup claim ${four[0]} ${physicalFunction} --yes`
  const { code, stdout, stderr } = await talk.guest.run({ run: claim })
  const said = `${stdout.toString('utf8')}${stderr}`
  talk.expect('a driver refuses: exit code 5', code === 5, `${code}\n${said}`)
  talk.expect('a driver refuses: the device is named', said.includes(physicalFunction), said)
  await talk.expectDrivers('rolled back', { [physicalFunction]: 'nvme', [four[0]]: 'e1000' })
  await talk.prepare(`echo 0 >${count}`)
  talk.findings.push(
    ...compareStates('state after rolling back', before, await readState(talk.guest)),
  )
  await talk.isogroup('recover', 0)
  await talk.prepare(`echo 2 >${count} && sleep 1`)
  await talk.expectSame('after rolling back')
}

/** A user who may not is told who may. */
async function refuseUser(talk: Conversation): Promise<void> {
  const refused = await talk.isogroup(`claim ${lone} --yes`, 7, { as: 'user' })
  talk.expect('no permission: what to run', refused.stderr.includes('sudo'), refused.stderr)
  await talk.expectSame('after a claim without permission')
}

/** What is on a VFIO driver by another hand is left alone, and left there. */
async function nothingToDo(talk: Conversation): Promise<void> {
  const at = `/sys/bus/pci/devices/${lone}/driver_override`
  await talk.prepare(`echo vfio-pci >${at} && echo ${lone} >/sys/bus/pci/drivers_probe`)
  const before = await readState(talk.guest)
  await talk.isogroup(`claim ${lone} --yes`, 0)
  talk.findings.push(
    ...compareStates('state with nothing to do', before, await readState(talk.guest)),
  )
  await talk.guest.run({ run: `isogroup release ${lone}` })
  talk.findings.push(
    ...compareStates('left where it was found', before, await readState(talk.guest)),
  )
  await talk.prepare(`echo ${lone} >/sys/bus/pci/drivers/vfio-pci/unbind && echo >${at}`)
  await talk.expectSame('after nothing to do')
}

/** Somebody has one device of four open: the others go home, that one when it is free. */
async function holdDevice(talk: Conversation): Promise<void> {
  const [, held] = four
  await talk.isogroup(`claim ${four[0]} ${disk} --yes`, 0)
  await talk.expectDrivers('claimed', allOn([...four, disk], 'vfio-pci'))
  const group = (await talk.prepare(`basename ${nodeOf(held)}`)).trim()
  await talk.prepare(`node ${holdProgram} ${group} ${held} >/tmp/hold 2>&1 3<&- &
echo $! >/tmp/hold.pid
for try in $(seq 100); do
  grep -q holding /tmp/hold && exit 0
  usleep 100000
done
cat /tmp/hold
exit 1`)
  await talk.isogroup('claims', 0, { says: ['node'] })
  const pid = await talk.prepare('cat /tmp/hold.pid')
  await talk.isogroup(`release ${held}`, 6, { says: [held, pid] })
  // The user owns the group as long as one device is held, so its mates get no kernel driver; others do. By links
  // alone: Linux 6.1 lets nobody read the override of a device that hangs.
  const at = '/sys/bus/pci/devices'
  const links = [four[0], four[3], disk].map((name) => `readlink ${at}/${name}/driver || echo -`)
  const drivers = (await talk.prepare(links.join('\n'))).trim().split('\n')
  const names = drivers.map((link) => link.slice(link.lastIndexOf('/') + 1)).join(' ')
  talk.expect('drivers while one is held', names === '- - nvme', names)
  await talk.isogroup('claims', 0, { says: ['wedged'] })
  // Everything else goes on.
  await talk.isogroup('ls', 0, { says: [held] })
  await talk.isogroup(`plan ${held}`, 3, { says: [held] })
  await talk.isogroup(`explain ${lone}`, 0, { says: [lone] })
  await talk.prepare(`kill ${pid} && sleep 1`)
  await talk.isogroup('recover', 0)
  await talk.expectSame('after recovering what was held')
  const left = text(await talk.isogroup('claims --json', 0))
  talk.expect('no claim is left', /"claims":\s*\[\]/.test(left), left)
}

/** Nobody confirms: undone by a process of its own, which outlives the one that claimed and its terminal. */
async function confirmNothing(talk: Conversation): Promise<void> {
  await talk.isogroup(`claim ${lone} --yes --confirm 4`, 0)
  await talk.expectDrivers('not confirmed yet', allOn([lone], 'vfio-pci'))
  await talk.prepare(`for try in $(seq 200); do
  [ -e /sys/bus/pci/devices/${lone}/driver ] || exit 0
  usleep 100000
done
exit 1`)
  await talk.isogroup('claims', 0, { says: ['no claims'] })
  await talk.expectSame('after a claim that nobody confirmed')
  await talk.isogroup(`claim ${lone} --yes --confirm 60`, 0)
  await talk.isogroup('confirm', 0)
  await talk.isogroup(`release ${lone}`, 0)
  await talk.expectSame('after a claim that somebody confirmed')
}

/**
 * A function without ACS that is plugged in again gets a group of its own from Linux, and a node that is root's.
 * The last scene: the group stays split.
 */
async function keepSplitGroup(talk: Conversation): Promise<void> {
  const [first, second] = pair
  await talk.isogroup(`claim ${first} --yes --owner user`, 0)
  const at = '/sys/bus/pci'
  await talk.prepare(`echo 1 >${at}/devices/${second}/remove && echo 1 >${at}/rescan && sleep 1`)
  await talk.isogroup('guard --once', 0)
  await talk.expectDrivers('kept in two groups', allOn(pair, 'vfio-pci'))
  const owners = await talk.prepare(`stat -c '%u:%g' ${nodeOf(first)} ${nodeOf(second)}`)
  talk.expect('owner of both nodes', /^1000:1000\s+1000:1000$/.test(owners.trim()), owners)
  await talk.isogroup('claims', 0, { says: ['watched'] })
  await talk.isogroup(`release ${second}`, 0)
  await talk.isogroup('claims', 0, { says: ['no claims'] })
}

/** The group's node, as the shell of the guest finds it. */
function nodeOf(address: string): string {
  return `/dev/vfio/$(basename $(readlink /sys/bus/pci/devices/${address}/iommu_group))`
}
