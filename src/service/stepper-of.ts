/** Steps of one claim, each written down before it is taken. */
import type { Parts } from './parts.ts'
import type { Stepper } from './step.ts'

export function stepperOf({ host, deadline, store }: Parts, id: string): Stepper {
  return { host, deadline, record: (action) => store.begin(id, action) }
}
