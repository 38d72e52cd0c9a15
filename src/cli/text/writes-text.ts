/** The exact writes of a plan, in order: what --dry-run prints. */
import type { LiveHost } from '../../isolation/live-host.ts'
import type { Plan } from '../../isolation/plan/plan.ts'
import { describeAction } from '../../isolation/transaction/action.ts'
import type { Screen } from '../screen.ts'

/**
 * One line for each step and, below it, each write: the path and the bytes as a JSON string, or what is
 * done to a node.
 */
export function writeLines(plan: Plan, host: LiveHost, screen: Screen): readonly string[] {
  const steps: string[] = []
  if (plan.loads !== null) {
    steps.push(`load the module of ${plan.loads}`, `  modprobe ${plan.loads}`)
  }
  for (const action of plan.actions) {
    steps.push(describeAction(action))
    for (const { path, text } of host.writesOf(action)) {
      steps.push(`  ${screen.paint('cyan', path)}  ${isBytes(text) ? JSON.stringify(text) : text}`)
    }
  }
  return steps
}

/** Nodes are not written to, they get an owner and a mode. */
function isBytes(text: string): boolean {
  return !/^ch(own|mod) /.test(text)
}
