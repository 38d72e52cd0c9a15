import { describe, expect, it } from 'vitest'
import { modelKernel } from '../../src/model/model-kernel.ts'
import { bootModel } from '../../src/model/model.ts'
import { kernelSeriesAll } from '../kernels.ts'
import { Random } from '../random.ts'
import { describeDifference, describeStep } from './describe.ts'
import { nextOperation } from './generate.ts'
import { traceUniverse } from './machine.ts'
import type { StepRecord } from './operation.ts'
import type { Trace } from './record.ts'
import { recordedTrace } from './recorded.case.ts'
import { replayTrace } from './replay.ts'
import { TraceSide } from './side.ts'
import { World } from './world.ts'

describe('replayTrace()', () => {
  it.each(kernelSeriesAll)(
    'does what Linux %s did',
    async (series) => {
      const trace = recordedTrace(series)
      const differences = await replayTrace(trace)
      const told = differences.map(
        (one) => `step ${one.step} ${one.what}: ${describeDifference(one)}`,
      )
      const before = trace.steps.slice(0, differences[0]?.step ?? 0).slice(-10)
      expect([...(told.length === 0 ? [] : before.map(describeStep)), ...told]).toEqual([])
    },
    60_000,
  )

  it('finds an outcome, an event, a state and a start that are not the same', async () => {
    const trace = recordedTrace('6.12')
    const differs = async (wrong: Trace): Promise<readonly (readonly [number, string])[]> =>
      (await replayTrace(wrong)).map(({ step, what }) => [step, what] as const)
    const short = trace.steps.slice(0, 5)
    const last = (change: Partial<StepRecord>): Trace => {
      const steps = short.map((one) => (one.step === 5 ? { ...one, ...change } : one))
      return { ...trace, steps }
    }
    expect(await differs(last({ outcome: { error: 'ENODATA' } }))).toEqual([[5, 'outcome']])
    expect(await differs(last({ events: ['add@/nothing'] }))).toEqual([[5, 'events']])
    expect(
      await differs(last({ changed: { ...short[4]?.changed, '0000:01:00.0 driver': 'other' } })),
    ).toEqual([[5, '0000:01:00.0 driver']])
    const start = { ...trace.start, '/dev/vfio': 'vfio more' }
    expect(await differs({ ...trace, start, steps: short })).toEqual([[0, '/dev/vfio']])
  })
})

describe('nextOperation()', () => {
  const steps = 1_500

  async function run(seed: number): Promise<readonly StepRecord[]> {
    const { machine } = recordedTrace('6.12')
    const clock = {
      after(_milliseconds: number, callback: () => void): () => void {
        const immediate = setImmediate(callback)
        return () => clearImmediate(immediate)
      },
    }
    const kernel = modelKernel(bootModel(machine), { clock })
    const side = new TraceSide(kernel, { ignored: traceUniverse.ignored, calmMs: 0 })
    await side.start()
    const universe = { ...traceUniverse, newcomers: [] }
    const world = new World(universe, new Random(seed), side, machine.kernelRelease)
    const records: StepRecord[] = []
    for (let step = 0; step < steps; step++) {
      const operation = nextOperation(world)
      const record = await side.step(operation)
      world.learn(operation, record.outcome, side.state)
      records.push(record)
    }
    return records
  }

  it('makes the same trace of the same seed, and gets everywhere', async () => {
    const records = await run(2)
    expect(await run(2)).toEqual(records)
    const seen = new Set(
      records.map(({ operation, outcome: { error } }) => {
        const { kind } = operation
        const refused = error === undefined || kind === 'blocked-write' ? '' : ` ${error}`
        if (kind === 'ioctl') {
          return `${operation.on[0]} ${operation.request.toString(16)}${refused}`
        }
        const file = kind === 'write' ? ` ${operation.path.split('/').at(-1) ?? ''}` : ''
        return `${kind}${file}${refused}`
      }),
    )
    const wanted = [
      ...['open', 'open-device', 'close', 'take', 'read', 'blocked-write', 'write bind'],
      ...['write unbind', 'write driver_override', 'write drivers_probe', 'write sriov_numvfs'],
      ...['write remove', 'write rescan', 'write type', 'container 3b66', 'container 3b71'],
      ...['container 3b72', 'container 3b70', 'group 3b67', 'group 3b68', 'group 3b69'],
      // The rules of ownership: not all members are there yet, and a kernel driver that comes later.
      ...['group 3b68 EPERM', 'write bind EBUSY', 'write drivers_probe EINVAL'],
      ...['device 3b6b', 'device 3b6c', 'device 3b6d', 'device 3b6e', 'device 3b70'],
    ]
    expect(wanted.filter((name) => !seen.has(name))).toEqual([])
  }, 120_000)
})
