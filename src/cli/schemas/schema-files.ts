/** The published JSON Schemas (docs/reference/schemas), made from the shapes in this folder. */
import { toJsonSchema } from '@valibot/to-json-schema'
import type { GenericSchema } from 'valibot'
import { capture } from './capture.ts'
import { claimList, claimResult, confirmed, recovery, releaseResult } from './claims.ts'
import { contextList } from './contexts.ts'
import { details } from './details.ts'
import { doctorReport } from './doctor-report.ts'
import { explanation } from './explanation.ts'
import { exported } from './export.ts'
import { failure } from './failure.ts'
import { guardEvent } from './guard-event.ts'
import { groupList } from './group-list.ts'
import { plan } from './plan.ts'
import { prediction } from './prediction.ts'
import { tree } from './tree.ts'
import { whatIf } from './what-if.ts'

/** Shape by `kind`; "Failure" is what a failed command prints. */
export const SHAPES: Readonly<Record<string, GenericSchema>> = {
  GroupList: groupList,
  Details: details,
  Tree: tree,
  Explanation: explanation,
  Prediction: prediction,
  WhatIf: whatIf,
  DoctorReport: doctorReport,
  Capture: capture,
  Plan: plan,
  ClaimResult: claimResult,
  ClaimList: claimList,
  ContextList: contextList,
  ReleaseResult: releaseResult,
  Confirmed: confirmed,
  Recovery: recovery,
  GuardEvent: guardEvent,
  Export: exported,
  Failure: failure,
}

/** Text by file name, as it belongs into docs/reference/schemas. */
export function schemaFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const [kind, shape] of Object.entries(SHAPES)) {
    const name = kind.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()
    const schema = { title: kind, ...toJsonSchema(shape, { target: 'draft-2020-12' }) }
    files.set(`${name}.schema.json`, `${JSON.stringify(schema, null, 2)}\n`)
  }
  return files
}
