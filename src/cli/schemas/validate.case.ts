/** Holds what a command printed against the published schema of its kind. */
import * as v from 'valibot'
import { expect } from 'vitest'
import { SHAPES } from './schema-files.ts'

/** @returns the kind */
export function validate(line: string): string {
  const value = JSON.parse(line) as { kind?: string }
  const kind = value.kind ?? 'Failure'
  const shape = SHAPES[kind]
  if (shape === undefined) throw new Error(`no shape for ${kind}`)
  const result = v.safeParse(shape, value)
  const issues = result.issues?.map((issue) => `${v.getDotPath(issue) ?? ''}: ${issue.message}`)
  expect(issues).toBeUndefined()
  return kind
}
