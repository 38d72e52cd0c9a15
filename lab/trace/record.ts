/** Runs a trace in a guest: starts the program there, plugs devices when it asks, collects its lines. */
import type {
  FunctionDescription,
  MachineDescription,
} from '../../src/model/machine/description.ts'
import type { Guest } from '../guest.ts'
import type { Operation, StepRecord } from './operation.ts'
import { traceUniverse } from './machine.ts'

/** Everything about a trace that the model needs to do the same, and to be compared. */
export type Trace = {
  readonly seed: number
  readonly machine: MachineDescription
  /** In the order of the universe's newcomers. */
  readonly newcomers: readonly FunctionDescription[]
  /** Drivers of PCI functions that are loaded: the model must not have more. */
  readonly drivers: readonly string[]
  /** What was seen before the first step. */
  readonly start: Readonly<Record<string, string>>
  readonly steps: readonly StepRecord[]
}

type First = Omit<Trace, 'seed' | 'steps'>

type Line =
  | First
  | { readonly outside: Operation }
  | { readonly more: true }
  | { readonly end: true }
  | StepRecord

const DIRECTORY = '/run/trace'
/** For a piece of a trace: a hundred steps, which take half a minute on an idle host. */
const PIECE_DEADLINE_MS = 5 * 60_000

/** Drivers of the traced machine; nothing else may take a device there. */
const prepareScript = `
mkdir -p ${DIRECTORY}
mkfifo ${DIRECTORY}/in ${DIRECTORY}/out
modprobe -a e1000e nvme ahci lpc_ich vfio-pci vfio_iommu_type1 pci-stub
sleep 2
`

/** @param program path of the bundled guest.ts in the guest */
export async function recordTrace(
  guest: Guest,
  program: string,
  seed: number,
  stepCount: number,
): Promise<Trace> {
  await guest.run({ run: prepareScript })
  const command = `node ${program} ${seed} ${stepCount} ${DIRECTORY}`
  // When it dies, whoever waits at a pipe is let go. The reader is nobody's child: the end of a child
  // would interrupt the shell while it opens the other pipe.
  const watched = `(${command}; (cat ${DIRECTORY}/in &); : >${DIRECTORY}/out)`
  await guest.run({ run: `${watched} </dev/null >${DIRECTORY}/log 2>&1 3<&- &` })
  let first: First | undefined
  const steps: StepRecord[] = []
  for (;;) {
    const run = `echo >${DIRECTORY}/in; cat ${DIRECTORY}/out`
    const { stdout } = await guest.run({ run, deadlineMs: PIECE_DEADLINE_MS })
    for (const text of stdout.toString('utf8').trim().split('\n')) {
      if (text === '') throw new Error(`the guest's part ended:\n${await lastWords(guest)}`)
      const line = JSON.parse(text) as Line
      if ('end' in line && first !== undefined) return { seed, ...first, steps }
      if ('start' in line) first = line
      else if ('outside' in line) await plug(guest, line.outside)
      else if ('step' in line) steps.push(line)
    }
  }
}

async function lastWords(guest: Guest): Promise<string> {
  const run = `tail -n 5 ${DIRECTORY}/log; dmesg | tail -n 30`
  const { stdout } = await guest.run({ run })
  return stdout.toString('utf8')
}

async function plug(guest: Guest, operation: Operation): Promise<void> {
  if (operation.kind !== 'plug' && operation.kind !== 'unplug') return
  const newcomer = traceUniverse.newcomers.find(({ name }) => name === operation.newcomer)
  if (newcomer === undefined) throw new Error(`no newcomer ${operation.newcomer}`)
  const control = await guest.control()
  if (operation.kind === 'unplug') await control.removeDevice(newcomer.name)
  else await control.addDevice({ ...newcomer.properties, id: newcomer.name })
}
