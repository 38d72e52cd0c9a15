/** Does the steps of a trace again on the model, and finds where it differs from the real kernel. */
import { registerDriver, unregisterDriver } from '../../src/model/driver-core/bind.ts'
import { type Model, bootModel } from '../../src/model/model.ts'
import type { FunctionDescription } from '../../src/model/machine/description.ts'
import { createFunction } from '../../src/model/hardware/devices/catalogue.ts'
import type { HardwareBus } from '../../src/model/hardware/slots.ts'
import { modelKernel } from '../../src/model/model-kernel.ts'
import type { Task } from '../../src/model/task.ts'
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

/** By the guest's preparation (record.ts). Where two drivers know an id, the first one gets the function. */
const LOADED_LAST = 'pci-stub'

function loadAgain(model: Model, name: string): void {
  const { context, pci } = model
  const driver = pci.bus.drivers.get(name)
  if (driver === undefined) return
  model.run(`rmmod ${name}`, unregisterDriver(context, driver))
  model.run(`modprobe ${name}`, registerDriver(context, driver))
}

/** Stops at the first step that differs and tells all its differences; none for a perfect model. */
export async function replayTrace(trace: Trace): Promise<readonly Difference[]> {
  const model = bootModel(trace.machine)
  for (const driver of [...model.pci.bus.drivers.values()]) {
    if (trace.drivers.includes(driver.name)) continue
    model.run(`rmmod ${driver.name}`, unregisterDriver(model.context, driver))
  }
  loadAgain(model, LOADED_LAST)
  const places = placesOf(model, trace)
  const kernel = modelKernel(model, { clock })
  const side = new TraceSide(kernel, { ignored: traceUniverse.ignored, calmMs: 0 })
  const state = await side.start()
  const start = changes(new Map(Object.entries(trace.start)), state)
  const before = Object.entries(start).map(([what, value]) => {
    return { step: 0, operation: undefined, what, real: trace.start[what], model: value }
  })
  if (before.length > 0) return before
  for (const real of trace.steps) {
    const { operation } = real
    const plugs = operation.kind === 'plug' || operation.kind === 'unplug'
    const outside = plugs ? () => plug(model, places, operation) : undefined
    const found = compareSteps(real, await side.step(operation, outside))
    if (found.length > 0) return found
  }
  return []
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

/** A slot that a newcomer comes and goes in: its wires are there whether the kernel knows of them or not. */
type Place = {
  readonly newcomer: FunctionDescription
  readonly wires: HardwareBus
  readonly devfn: number
}

/** Places by name of the newcomer. The machine must be whole. */
function placesOf(model: Model, trace: Trace): ReadonlyMap<string, Place> {
  return new Map(
    traceUniverse.newcomers.map(({ name, address: at }): [string, Place] => {
      const newcomer = trace.newcomers.find((one) => one.at === at)
      const above = model.pci.device(newcomer?.parent ?? '')
      const address = parseAddress(at)
      if (newcomer === undefined || above === undefined || address === null) {
        throw new Error(`${at} has no place`)
      }
      const devfn = (address.device << 3) | address.function
      return [name, { newcomer, wires: model.slots.below(above.hardware), devfn }]
    }),
  )
}

/** A card is put in; the kernel is told if it knows the bus. */
function* plugIn({ pci, slots, cabling }: Model, { newcomer, wires, devfn }: Place): Task<void> {
  slots.plug(createFunction(newcomer, cabling), wires, devfn)
  const bus = pci.busOf(wires)
  if (bus !== undefined) yield* pci.hotPlugged(bus, devfn >> 3)
}

/** Somebody presses the button of a slot, waits until the kernel has let go, and takes the card out. */
function* pullOut({ pci, slots }: Model, { newcomer, wires, devfn }: Place): Task<void> {
  const device = pci.device(newcomer.at)
  if (device !== undefined) yield* pci.hotUnplugged(device, true)
  const hardware = wires.functions.get(devfn)
  if (hardware !== undefined) slots.unplug(hardware)
}

function plug(
  model: Model,
  places: ReadonlyMap<string, Place>,
  { kind, newcomer }: Operation & { readonly kind: 'plug' | 'unplug' },
): Promise<Outcome> {
  const place = places.get(newcomer)
  if (place === undefined) throw new Error(`no newcomer ${newcomer}`)
  return new Promise((resolve, reject) => {
    const task = kind === 'plug' ? plugIn(model, place) : pullOut(model, place)
    model.context.scheduler.start(kind, task, (outcome) => {
      if ('error' in outcome) reject(new Error(kind, { cause: outcome.error }))
      else resolve({})
    })
    model.context.scheduler.settle()
  })
}
