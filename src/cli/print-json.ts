/** Prints a result as JSON: compact for machines, indented on a terminal. */
import type { Screen } from './screen.ts'

export const API_VERSION = 'isogroup/v1'

/** One object of a stream of them: always one line. */
export function printJsonLine(screen: Screen, kind: string, value: object): void {
  screen.print([JSON.stringify({ apiVersion: API_VERSION, kind, ...value })])
}

export function printJson(screen: Screen, kind: string, value: object): void {
  const object = { apiVersion: API_VERSION, kind, ...value }
  screen.print([JSON.stringify(object, null, screen.isTerminal ? 2 : undefined)])
}
