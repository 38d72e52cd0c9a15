/**
 * Programs that use devices on real kernels: the scenarios of src/access, the examples as they are built, an ordinary
 * user at his limit, a program killed in the middle of DMA, a device pulled out while it is used. After all of it
 * `release` gives everything back, and the kernel's own driver reads from the disk what the example wrote.
 */
import { join } from 'node:path'
import { build } from 'esbuild'
import { accessMachine, disk, pair, pulled, pulledId } from '../access/machine.ts'
import { scenarios } from '../../src/access/scenarios/scenarios.case.ts'
import { type Conversation, startConversation } from '../claim/conversation.ts'
import { kernelSeriesAll } from '../kernels.ts'
import { bundleForGuest, KOFFI } from '../trace/guest-program.ts'
import type { CaseWorld, LabCase, LabFinding } from './case.ts'

const GUEST = '.build/lab-access-guest.mjs'
const VERIFY = '.build/lab-access-verify-disk.mjs'
const EXAMPLES = ['edu', 'nvme'] as const
const COMMANDS = 10_000
const [SEED, KILLED_SEED] = [7, 8]
/** When the program is killed, in milliseconds after its start. */
const KILL_AFTER = [1500, 3000] as const
const MEMLOCK_KIB = 1024

export function accessCases(): readonly LabCase[] {
  return kernelSeriesAll.map((kernel) => {
    const name = `access-${kernel}`
    return {
      name,
      kernel,
      machine: { ...accessMachine, name },
      replay: `--only ${name}`,
      prepare: buildAccessPrograms,
      run: runAccess,
    }
  })
}

async function buildAccessPrograms(projectRoot: string): Promise<readonly string[]> {
  await bundleForGuest(projectRoot, 'lab/access/guest.ts', GUEST)
  await bundleForGuest(projectRoot, 'lab/access/verify-disk.ts', VERIFY)
  const outputs = EXAMPLES.map((name) => `.build/lab-access-${name}.mjs`)
  await Promise.all(
    EXAMPLES.map((name, n) =>
      build({
        absWorkingDir: projectRoot,
        entryPoints: [`examples/${name}.ts`],
        outfile: join(projectRoot, outputs[n] ?? name),
        bundle: true,
        external: ['koffi'],
        format: 'esm',
        platform: 'node',
        target: 'node20.19',
        logLevel: 'silent',
      }),
    ),
  )
  return [GUEST, VERIFY, ...outputs, ...KOFFI]
}

const settle = `
mkdir -p /sbin
ln -sf /bin/busybox /sbin/modprobe
modprobe -a nvme 2>/dev/null
modprobe -a vfio-pci vfio_iommu_type1
sleep 1`

async function runAccess(world: CaseWorld): Promise<readonly LabFinding[]> {
  await world.guest.run({ run: settle })
  const talk = await startConversation(world)
  const scenes = [
    claimAll,
    startEdu,
    seeContexts,
    runScenarios,
    ordinaryUser,
    killUnderDma,
    moveBlocks,
  ]
  for (const scene of [...scenes, finishEdu, pullOut, releaseAll]) {
    try {
      await scene(talk, world)
    } catch (error) {
      talk.expect(scene.name, false, error instanceof Error ? error.message : String(error))
    }
  }
  return talk.findings
}

async function claimAll(talk: Conversation): Promise<void> {
  await talk.isogroup(`claim ${[...pair, disk].join(' ')} --yes`, 0)
  await talk.isogroup(`claim ${pulled} --yes`, 0)
}

/** Each of its transfers takes QEMU a tenth of a second, so it moves its megabyte beside everything else. */
async function startEdu(talk: Conversation): Promise<void> {
  await talk.prepare(`(node /app/.build/lab-access-edu.mjs ${pulled} >/tmp/edu 2>&1
echo "exit $?" >>/tmp/edu) 3<&- >/dev/null 2>&1 &`)
}

/** While edu has its megabyte under way. */
async function seeContexts(talk: Conversation): Promise<void> {
  await talk.prepare(`for try in $(seq 300); do
  grep -q '12!' /tmp/edu && exit 0
  usleep 100000
done
cat /tmp/edu
exit 1`)
  const { stdout } = await talk.isogroup('contexts --json', 0)
  const said = stdout.toString('utf8')
  const { programs } = JSON.parse(said) as {
    programs: readonly {
      readonly name: string
      readonly contexts: number
      readonly groups: readonly { readonly members: readonly string[] }[]
      readonly lockedBytes: number | null
    }[]
  }
  const members = programs.flatMap(({ groups }) => groups.flatMap((group) => group.members))
  talk.expect('contexts names the device of the program', members.join() === pulled, said)
  const [program] = programs
  talk.expect('contexts counts its locked memory', (program?.lockedBytes ?? 0) >= 2 ** 21, said)
}

async function finishEdu(talk: Conversation): Promise<void> {
  const said = await talk.prepare(`for try in $(seq 1200); do
  grep -q ^exit /tmp/edu && break
  usleep 100000
done
cat /tmp/edu`)
  const wanted = [
    '12! = 479001600',
    '1048576 bytes to the device and back by DMA: the same',
    'exit 0',
  ]
  talk.expect(
    'example edu',
    wanted.every((words) => said.includes(words)),
    said,
  )
}

async function runScenarios(talk: Conversation, world: CaseWorld): Promise<void> {
  const { stdout, stderr } = await talk.guest.run({
    run: `node /app/${GUEST} scenarios ${pair.join(' ')}`,
    deadlineMs: 400_000,
  })
  report(talk, stdout.toString('utf8'), stderr, scenarios.length)
  world.keepEvidence('scenarios.txt', `${stdout.toString('utf8')}${stderr}`)
}

/** @param count of scenarios that must have been run */
function report(talk: Conversation, said: string, stderr: string, count: number): void {
  const lines = said.split('\n').filter((line) => line.startsWith('{'))
  for (const line of lines) {
    const { name, failed } = JSON.parse(line) as { name: string; failed?: string }
    talk.expect(`a program ${name}`, failed === undefined, failed ?? '')
  }
  talk.expect('scenarios run', lines.length === count, `${String(lines.length)}\n${stderr}`)
}

async function ordinaryUser(talk: Conversation): Promise<void> {
  const node = `/dev/vfio/$(basename $(readlink /sys/bus/pci/devices/${pair[0]}/iommu_group))`
  await talk.prepare(`chown 1000:1000 ${node} && chmod 666 /dev/vfio/vfio`)
  const { stdout, stderr } = await talk.guest.run({
    run: `ulimit -l ${String(MEMLOCK_KIB)}; node /app/${GUEST} memory ${pair.join(' ')}`,
    as: 'user',
  })
  report(talk, stdout.toString('utf8'), stderr, 1)
  await talk.prepare(`chown 0:0 ${node}`)
}

async function moveBlocks(talk: Conversation, world: CaseWorld): Promise<void> {
  const started = performance.now()
  const options = `--commands ${String(COMMANDS)} --seed ${String(SEED)}`
  const refusal = await talk.prepare(`${nvme(options)} || true`)
  talk.expect('a disk that is used is refused', refusal.includes('--overwrite 1'), refusal)
  const said = await talk.prepare(nvme(`${options} --overwrite 1`))
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  talk.expect('example nvme', said.includes('5000 read through 4 queues: all the same'), said)
  world.say(`nvme: ${String(COMMANDS)} commands through 4 queues in ${seconds} s`)
}

function nvme(options: string): string {
  return `node /app/.build/lab-access-nvme.mjs ${disk} ${options} 2>&1`
}

/** Whenever it dies, the next program finds the disk in order. */
async function killUnderDma(talk: Conversation): Promise<void> {
  for (const milliseconds of KILL_AFTER) {
    const endless = nvme(`--commands 10000000 --seed ${String(KILLED_SEED)} --overwrite 1`)
    const ended = await talk.prepare(`(exec ${endless.replace(' 2>&1', '')}) >/dev/null 2>&1 3<&- &
child=$!
usleep ${String(milliseconds * 1000)}
kill -9 $child
wait $child
echo "ended $?"`)
    talk.expect('killed under DMA', ended.includes('ended 137'), ended)
  }
  const again = nvme(`--commands 1000 --seed ${String(KILLED_SEED)} --overwrite 1`)
  const said = await talk.prepare(again)
  talk.expect('after a kill', said.includes('all the same'), said)
}

/** The host's own hand: the kernel asks the program, which lets go, and the device leaves. */
async function pullOut(talk: Conversation): Promise<void> {
  await talk.prepare(`node /app/${GUEST} wait ${pulled} >/tmp/wait 2>&1 3<&- &
for try in $(seq 300); do
  grep -q waiting /tmp/wait && exit 0
  usleep 100000
done
cat /tmp/wait
exit 1`)
  const control = await talk.guest.control()
  await control.removeDevice(pulledId)
  const said = await talk.prepare(`for try in $(seq 600); do
  [ -e /sys/bus/pci/devices/${pulled} ] || break
  usleep 100000
done
sleep 1
cat /tmp/wait
ls /sys/bus/pci/devices`)
  const wanted = '"interrupt":"DeviceRemovedError","register":"DeviceRemovedError"'
  talk.expect('pulled out while waiting', said.includes(wanted), said)
  talk.expect('the device has left', !said.split('\n').includes(pulled), said)
}

async function releaseAll(talk: Conversation): Promise<void> {
  await talk.isogroup(`release ${disk}`, 0)
  await talk.expectDrivers('released', {
    [disk]: 'nvme',
    [pair[0]]: undefined,
    [pair[1]]: undefined,
  })
  const said = await talk.prepare(`for try in $(seq 100); do
  name=$(ls /sys/bus/pci/devices/${disk}/nvme/*/ 2>/dev/null | grep -m1 'nvme.n1$') && break
  usleep 100000
done
bytes=$(($(cat /sys/block/$name/size) * 512))
node /app/${VERIFY} /dev/$name ${String(SEED)} ${String(COMMANDS / 2)} $bytes`)
  const { wrong, written } = JSON.parse(said) as { wrong: number; written: number }
  talk.expect('read back by the kernel', written > 1000 && wrong === 0, said)
}
