/**
 * Random steps on a real kernel and on the model, compared one by one: results, what can be seen, and
 * uevents. Seed and number of steps decide everything; a difference is shown with the steps before it.
 */
import { type KernelSeries, kernelSeriesAll } from '../kernels.ts'
import { buildTraceProgram, TRACE_PROGRAM } from '../trace/guest-program.ts'
import { traceMachine } from '../trace/machine.ts'
import { describeDifference, describeStep } from '../trace/describe.ts'
import { recordTrace } from '../trace/record.ts'
import { replayTrace } from '../trace/replay.ts'
import type { LabCase, LabFinding } from './case.ts'

/** Enough to visit every kind of step, and short enough for every run of the lab. */
const STANDING_STEPS = 200
const STANDING_SEED = 1
/** Steps that are shown before one that differs. */
const SHOWN_BEFORE = 12

export function traceCases(
  steps: number = STANDING_STEPS,
  seed: number = STANDING_SEED,
): readonly LabCase[] {
  return kernelSeriesAll.map((kernel) => traceCase(kernel, steps, seed))
}

function traceCase(kernel: KernelSeries, steps: number, seed: number): LabCase {
  const name = `trace-${kernel}`
  return {
    name,
    kernel,
    machine: { ...traceMachine, name },
    replay: `--only ${name} --trace ${steps} --seed ${seed}`,
    prepare: buildTraceProgram,
    run: async (world): Promise<readonly LabFinding[]> => {
      const trace = await recordTrace(world.guest, `/app/${TRACE_PROGRAM}`, seed, steps)
      world.keepEvidence('trace.json', JSON.stringify(trace))
      const differences = await replayTrace(trace)
      const [first] = differences
      if (first === undefined) return []
      const from = Math.max(0, first.step - SHOWN_BEFORE - 1)
      return [
        {
          check: 'the steps before',
          detail: trace.steps.slice(from, first.step).map(describeStep).join('\n'),
        },
        ...differences.map((one) => ({
          check: `step ${one.step}: ${one.what}`,
          detail: describeDifference(one),
        })),
      ]
    },
  }
}
