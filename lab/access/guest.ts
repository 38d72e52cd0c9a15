/**
 * What runs in the guest: the scenarios of src/access on the running kernel, one line of JSON for each.
 *
 *     node guest.mjs scenarios FIRST SECOND    addresses of two claimed edu devices
 *     node guest.mjs memory FIRST SECOND       the one scenario of an ordinary user
 *     node guest.mjs wait ADDRESS              maps memory, waits for an interrupt, and says how that ended
 */
import { execFileSync } from 'node:child_process'
import { openContext } from '../../src/access/open-context.ts'
import { limitOfMemory } from '../../src/access/scenarios/memory.case.ts'
import { scenarios } from '../../src/access/scenarios/scenarios.case.ts'
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

const [command = '', first = '', second = ''] = process.argv.slice(2)
if (command === 'scenarios') await runAll(scenarios, worldOf([first, second]))
if (command === 'memory') {
  const world: AccessWorld = { kernel: liveKernel(), edu: [first, second], faults: () => [] }
  await runAll([{ name: 'tells the limit of locked memory', run: limitOfMemory }], world)
}
if (command === 'wait') await waitForInterrupt(first)
