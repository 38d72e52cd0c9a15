/** Undoing: every step is tried, whatever became of the ones before; what went wrong first is said at the end. */

/** @throws what the first step that failed threw */
export async function undoAll(steps: readonly (() => void | Promise<void>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (cause) {
      failures.push(cause)
    }
  }
  if (failures.length > 0) throw failures[0]
}
