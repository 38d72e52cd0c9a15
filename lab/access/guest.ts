/**
 * What runs in the guest: the scenarios of src/access on the running kernel, one line of JSON for each.
 *
 *     node guest.mjs scenarios FIRST SECOND    addresses of two claimed edu devices
 *     node guest.mjs memory FIRST SECOND       the one scenario of an ordinary user
 *     node guest.mjs soak FIRST SECOND N SEED    N operations at random
 *     node guest.mjs wait ADDRESS              maps memory, waits for an interrupt, and says how that ended
 */
import { execFileSync } from 'node:child_process'
import { openContext } from '../../src/access/open-context.ts'
import { limitOfMemory } from '../../src/access/scenarios/memory.case.ts'
import { scenarios } from '../../src/access/scenarios/scenarios.case.ts'
import { soak } from '../../src/access/scenarios/soak.case.ts'
import type { AccessWorld, Scenario } from '../../src/access/scenarios/world.case.ts'
import { liveKernel } from '../../src/kernel/native/live-kernel.ts'

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** "DMAR: [DMA Write NO_PASID] Request device [01:00.0] fault addr 0x100000 [fault reason 0x05] ..." */
function faultReader(): () => readonly number[] {
  let seen = 0
  return () => {
    const lines = execFileSync('dmesg', { encoding: 'utf8' }).split('\n')
    const fresh = lines.slice(seen)
    seen = lines.length - 1
    return fresh.flatMap((line) => {
      const address = /DMAR: \[DMA .*fault addr (0x[0-9a-f]+)/.exec(line)?.[1]
      return address === undefined ? [] : [Number(address)]
    })
  }
}

function worldOf(edu: readonly [string, string]): AccessWorld {
  return { kernel: liveKernel(), edu, faults: faultReader() }
}

async function runAll(list: readonly Scenario[], world: AccessWorld): Promise<void> {
  for (const { name, run } of list) {
    const started = performance.now()
    try {
      world.faults()
      await run(world)
      say({ name, milliseconds: Math.round(performance.now() - started) })
    } catch (cause) {
      say({ name, failed: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) })
    }
  }
}

async function waitForInterrupt(address: string): Promise<void> {
  const context = await openContext({ kernel: liveKernel() }, [address])
  const device = context.device(address)
  device.enable()
  context.map(context.allocate(4 * 2 ** 20))
  const registers = device.bar(0)
  const waiting = device.interrupts('msi').vector(0).next()
  say({ waiting: registers.read32(0) })
  const nameOf = (cause: unknown): string => (cause instanceof Error ? cause.name : String(cause))
  const interrupt = await waiting.then(() => 'an interrupt', nameOf)
  await device.removed
  let register = 'answered'
  try {
    registers.read32(0)
  } catch (cause) {
    register = nameOf(cause)
  }
  await context.close()
  say({ interrupt, register })
}

/** Resident memory after a tenth has settled; what grows after that is a leak. */
async function soakLong(world: AccessWorld, operations: number, seed: number): Promise<void> {
  const started = performance.now()
  let settled = 0
  let most = 0
  await soak(world, {
    ...{ operations, seed },
    progress: (done) => {
      const resident = process.memoryUsage.rss()
      if (done >= operations / 10 && settled === 0) settled = resident
      most = Math.max(most, settled === 0 ? 0 : resident)
    },
  })
  const seconds = Math.round((performance.now() - started) / 1000)
  say({ operations, seconds, settledBytes: settled, mostBytes: most })
}

const [command = '', first = '', second = '', count = '', seed = ''] = process.argv.slice(2)
if (command === 'scenarios') await runAll(scenarios, worldOf([first, second]))
if (command === 'memory') {
  const world: AccessWorld = { kernel: liveKernel(), edu: [first, second], faults: () => [] }
  await runAll([{ name: 'tells the limit of locked memory', run: limitOfMemory }], world)
}
if (command === 'soak') await soakLong(worldOf([first, second]), Number(count), Number(seed))
if (command === 'wait') await waitForInterrupt(first)
