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

/** What `what-if --json` says of the machine after the changes. */
export function readAfter(text: string): {
  readonly partition: Partition
  /** A line a group, as readAssessed has them. */
  readonly assessed: readonly string[]
} {
  const { after } = readKind(text, 'WhatIf')
  if (!isObject(after)) throw new Error('"after" is no object')
  return {
    partition: normalPartition(readObjects(after, 'groups').map(addressesOf)),
    assessed: assessedGroups(after),
  }
}

/** Strength and use of every group in `ls --json`, a line each. */
export function readAssessed(text: string): readonly string[] {
  return assessedGroups(readKind(text, 'GroupList'))
}

function assessedGroups(list: JsonObject): readonly string[] {
  return readObjects(list, 'groups').map((group) => {
    const { strength, viability } = group
    if (!isObject(strength) || !isObject(viability)) throw new Error('a group is not assessed')
    const verdicts = Object.entries(strength).map(([bit, guarantee]) => {
      return `${bit} ${isObject(guarantee) ? String(guarantee['verdict']) : 'missing'}`
    })
    const use = `${String(viability['verdict'])} (${String(viability['owner'])})`
    return `${addressesOf(group).join(' ')}: ${verdicts.join(', ')}; ${use}`
  })
}

function addressesOf(group: JsonObject): readonly string[] {
  return readObjects(group, 'devices').map((device) => String(device['address']))
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
