/** A program that uses devices without an end, on real kernels: nothing is left behind, and nothing grows. */
import { accessMachine, pair } from '../access/machine.ts'
import { startConversation } from '../claim/conversation.ts'
import { kernelSeriesAll } from '../kernels.ts'
import { bundleForGuest, KOFFI } from '../trace/guest-program.ts'
import type { CaseWorld, LabCase, LabFinding } from './case.ts'

const GUEST = '.build/lab-access-guest.mjs'
const SEED = 11
/** Milliseconds for one operation, with room: mapping is fast, a reset when a device is closed is not. */
const SLOWEST_MS = 20
const START_MS = 120_000
/** What a collector of garbage may leave for later, in bytes. */
const GROWTH_MAX = 64 * 2 ** 20

interface Outcome {
  readonly operations: number
  readonly seconds: number
  readonly settledBytes: number
  readonly mostBytes: number
}

export function soakCases(operations: number, seed: number = SEED): readonly LabCase[] {
  return kernelSeriesAll.map((kernel) => {
    const name = `soak-${kernel}`
    return {
      name,
      kernel,
      machine: { ...accessMachine, name },
      replay: `--soak ${String(operations)} --seed ${String(seed)} --only ${name}`,
      prepare: async (projectRoot) => {
        await bundleForGuest(projectRoot, 'lab/access/guest.ts', GUEST)
        return [GUEST, ...KOFFI]
      },
      run: (world) => soakOn(world, operations, seed),
    }
  })
}

async function soakOn(
  world: CaseWorld,
  operations: number,
  seed: number,
): Promise<readonly LabFinding[]> {
  await world.guest.run({ run: 'modprobe -a vfio-pci vfio_iommu_type1; sleep 1' })
  const talk = await startConversation(world)
  await talk.isogroup(`claim ${pair.join(' ')} --yes`, 0)
  const { code, stdout, stderr } = await world.guest.run({
    run: `node /app/${GUEST} soak ${pair.join(' ')} ${String(operations)} ${String(seed)}`,
    deadlineMs: START_MS + operations * SLOWEST_MS,
  })
  talk.expect('nothing is left behind', code === 0, stderr)
  if (code === 0) {
    const outcome = JSON.parse(stdout.toString('utf8')) as Outcome
    const { settledBytes, mostBytes, seconds } = outcome
    const growth = mostBytes - settledBytes
    talk.expect('nothing grows', growth < GROWTH_MAX, JSON.stringify(outcome))
    world.say(
      `${String(operations)} operations in ${String(seconds)} s, ${String(Math.round(growth / 2 ** 20))} MiB more than after a tenth`,
    )
  }
  // One claim of both: one release.
  await talk.isogroup(`release ${pair[0]}`, 0)
  return talk.findings
}
