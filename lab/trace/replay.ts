/** Does the steps of a trace again on the model, and finds where it differs from the real kernel. */
import { unregisterDriver } from '../../src/model/driver-core/bind.ts'
import { type Model, bootModel } from '../../src/model/model.ts'
import { modelKernel } from '../../src/model/model-kernel.ts'
import { parseAddress } from '../../src/pci/address.ts'
import { traceUniverse } from './machine.ts'
import { changes, type Operation, type Outcome, type StepRecord } from './operation.ts'
import type { Trace } from './record.ts'
import { TraceSide } from './side.ts'

export type Difference = {
  /** 0 is the state before the first step. */
  readonly step: number
  readonly operation: Operation | undefined
  /** What differs: "outcome", "events" or a name of the visible state. */
  readonly what: string
  readonly real: unknown
  readonly model: unknown
}

/** Time stands still: whatever has not happened when nobody can run any more will not happen. */
const clock = {
  after(_milliseconds: number, callback: () => void): () => void {
    const immediate = setImmediate(callback)
    return () => clearImmediate(immediate)
  },
}

/** Stops at the first step that differs and tells all its differences; none for a perfect model. */
export async function replayTrace(trace: Trace): Promise<readonly Difference[]> {
  const model = bootModel(trace.machine)
  for (const driver of [...model.pci.bus.drivers.values()]) {
    if (trace.drivers.includes(driver.name)) continue
    model.run(`rmmod ${driver.name}`, unregisterDriver(model.context, driver))
  }
  const kernel = modelKernel(model, { clock })
  const side = new TraceSide(kernel, { ignored: traceUniverse.ignored, calmMs: 0 })
  const state = await side.start()
  const start = changes(new Map(Object.entries(trace.start)), state)
  const before = Object.entries(start).map(([what, value]) => {
    return { step: 0, operation: undefined, what, real: trace.start[what], model: value }
  })
  if (before.length > 0) return before
  const all: Difference[] = []
  for (const real of trace.steps) {
    const { operation } = real
    const plugs = operation.kind === 'plug' || operation.kind === 'unplug'
    const outside = plugs ? () => plug(model, trace, operation) : undefined
    const found = compareSteps(real, await side.step(operation, outside))
    if (found.length > 0) {
      all.push(...found)
      if (found.some((d) => d.what !== 'outcome' && d.what !== 'events') || all.length > 300)
        return all
    }
  }
  return all
}

function compareSteps(real: StepRecord, model: StepRecord): readonly Difference[] {
  const { step, operation } = real
  const found: Difference[] = []
  const compare = (what: string, one: unknown, other: unknown): void => {
    if (JSON.stringify(one) === JSON.stringify(other)) return
    found.push({ step, operation, what, real: one, model: other })
  }
  compare('outcome', sorted(real.outcome), sorted(model.outcome))
  compare('events', real.events, model.events)
  for (const name of new Set([...Object.keys(real.changed), ...Object.keys(model.changed)])) {
    compare(name, real.changed[name], model.changed[name])
  }
  return found
}

function sorted({ value, error, hex }: Outcome): readonly unknown[] {
  return [value, error, hex]
}

function plug(
  model: Model,
  trace: Trace,
  operation: Operation & { readonly kind: 'plug' | 'unplug' },
): Promise<Outcome> {
  const index = traceUniverse.newcomers.findIndex(({ name }) => name === operation.newcomer)
  const newcomer = trace.newcomers[index]
  if (newcomer === undefined) throw new Error(`no newcomer ${operation.newcomer}`)
  const address = parseAddress(newcomer.at)
  if (address === null) throw new Error(`${newcomer.at} is no address`)
  const devfn = (address.device << 3) | address.function
  const task =
    operation.kind === 'plug'
      ? model.hotAdd(newcomer, newcomer.parent ?? '0000:00', devfn)
      : model.hotRemove(newcomer.at)
  return new Promise((resolve, reject) => {
    model.context.scheduler.start(operation.kind, task, (outcome) => {
      if ('error' in outcome) reject(outcome.error as Error)
      else resolve({})
    })
    model.context.scheduler.settle()
  })
}
