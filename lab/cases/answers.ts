/**
 * Readers for what the program prints under --json. They take only what the checks need, and say
 * what is missing when a shape is wrong.
 */
import { normalPartition, type Partition } from '../partition.ts'

type JsonObject = Readonly<Record<string, unknown>>

/** The partition in `predict --json`. */
export function readPrediction(text: string): Partition {
  const answer = readKind(text, 'Prediction')
  return normalPartition(
    readObjects(answer, 'groups').map((group) => readStrings(group, 'devices')),
  )
}

/** Group id by device address in `ls --json`. Devices without a group are listed without an id. */
export function readGroupIds(text: string): ReadonlyMap<string, string> {
  const answer = readKind(text, 'GroupList')
  const ids = new Map<string, string>()
  for (const group of readObjects(answer, 'groups')) {
    const id = group['id']
    if (typeof id !== 'string') throw new Error('a group of the GroupList has no id of type string')
    for (const device of readObjects(group, 'devices')) {
      const address = device['address']
      if (typeof address !== 'string') throw new Error(`a device of group ${id} has no address`)
      ids.set(address, id)
    }
  }
  return ids
}

/** The object, when it is of our API version and of the kind expected. */
export function readKind(text: string, kind?: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error(`not JSON: ${text.slice(0, 200)}`)
  }
  if (!isObject(value)) throw new Error(`not a JSON object: ${text.slice(0, 200)}`)
  const found = `${String(value['apiVersion'])} ${String(value['kind'])}`
  if (value['apiVersion'] !== 'isogroup/v1') throw new Error(`no apiVersion isogroup/v1: ${found}`)
  if (kind !== undefined && value['kind'] !== kind) throw new Error(`no ${kind} but ${found}`)
  return value
}

function readObjects(value: JsonObject, name: string): readonly JsonObject[] {
  const list = value[name]
  if (!Array.isArray(list) || !list.every(isObject)) {
    throw new Error(`"${name}" is not a list of objects`)
  }
  return list
}

function readStrings(value: JsonObject, name: string): readonly string[] {
  const list = value[name]
  if (!Array.isArray(list) || !list.every((item) => typeof item === 'string')) {
    throw new Error(`"${name}" is not a list of strings`)
  }
  return list
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** "code decider" of every join in the chain of `explain --json`. */
export function readExplanation(text: string): readonly string[] {
  const answer = readKind(text, 'Explanation')
  return readObjects(answer, 'chain').map(
    (join) => `${String(join['code'])} ${String(join['decider'])}`,
  )
}

/** Differences in `predict --json` that do not rest on an unknown fact, in words. */
export function readUndecided(text: string): readonly string[] {
  const answer = readKind(text, 'Prediction')
  return readObjects(answer, 'differences')
    .filter((one) => one['undecided'] !== true && one['kind'] !== 'ungrouped')
    .map((one) => `${String(one['kind'])} ${readStrings(one, 'devices').join(' ')}`)
}

/** The codes of the warnings in `predict --json`, each with the device it is about first. */
export function readWarnings(text: string): readonly string[] {
  const answer = readKind(text, 'Prediction')
  return readObjects(answer, 'warnings').map(
    (one) => `${String(one['code'])} ${readStrings(one, 'about')[0] ?? ''}`,
  )
}

/** How many groups have each verdict of a strength bit in `ls --json`. */
export function readVerdicts(text: string, bit: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const group of readObjects(readKind(text, 'GroupList'), 'groups')) {
    const strength = group['strength']
    const guarantee = isObject(strength) ? strength[bit] : undefined
    const verdict = isObject(guarantee) ? String(guarantee['verdict']) : 'missing'
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
  }
  return counts
}
