/**
 * Reads values out of parsed JSON of unknown content, with the path of each for messages:
 * "snapshot.functions[3].acs: expected two hexadecimal numbers such as "5f/1d", found 7".
 */
import { IsogroupError } from '../base/errors.ts'
import { type Fact, known, unknown } from '../base/fact.ts'
import { shownValue } from './shown-value.ts'

/** A value and where it stands. */
export interface Field {
  readonly value: unknown
  /** "snapshot.functions[3].acs"; empty for the whole document. */
  readonly path: string
}

/** @throws IsogroupError bad-machine, always */
export function reject(field: Field, wanted: string): never {
  throw new IsogroupError(
    'bad-machine',
    `${field.path === '' ? 'the document' : field.path}: expected ${wanted}, found ${shownValue(field.value)}`,
    'The formats are described at the top of src/open/machine-file.ts and src/open/model-file.ts.',
  )
}

/** A member of an object; its value is undefined where there is none. */
export function member(field: Field, name: string): Field {
  const { value, path } = field
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return reject(field, 'an object')
  }
  const found = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  return { value: found, path: path === '' ? name : `${path}.${name}` }
}

/** Refuses members that the format does not have: a misspelt one must not pass for an absent one. */
export function onlyMembers(field: Field, names: readonly string[]): void {
  const { value } = field
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    reject(field, 'an object')
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) reject(member(field, name), `no member of this name`)
  }
}

export function items(field: Field): readonly Field[] {
  if (!Array.isArray(field.value)) return reject(field, 'a list')
  return field.value.map((value: unknown, i) => ({ value, path: `${field.path}[${String(i)}]` }))
}

export function entries(field: Field): readonly (readonly [string, Field])[] {
  const { value } = field
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return reject(field, 'an object')
  }
  return Object.keys(value).map((name) => [name, member(field, name)] as const)
}

export function text(field: Field): string {
  return typeof field.value === 'string' ? field.value : reject(field, 'a text')
}

export function truth(field: Field): boolean {
  return typeof field.value === 'boolean' ? field.value : reject(field, 'true or false')
}

/** A whole number from 0 up to `max`. */
export function count(field: Field, max: number): number {
  const { value } = field
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    return reject(field, `a whole number from 0 to ${String(max)}`)
  }
  return value
}

/** A text that the pattern matches; returns its groups. */
export function matched(field: Field, pattern: RegExp, wanted: string): readonly string[] {
  const match = typeof field.value === 'string' ? pattern.exec(field.value) : null
  return match === null ? reject(field, wanted) : match.slice(1)
}

/** Lower-case hexadecimal with exactly so many digits. */
export function hexNumber(field: Field, digits: number): number {
  const pattern = new RegExp(`^([0-9a-f]{${String(digits)}})$`)
  const [number] = matched(field, pattern, `${String(digits)} hexadecimal digits`)
  return parseInt(number ?? '', 16)
}

/** `{"?": "why"}` is an unknown; an absent member has the default; anything else is read. */
export function fact<T>(field: Field, absent: Fact<T>, read: (field: Field) => T): Fact<T> {
  const { value } = field
  if (value === undefined) return absent
  if (typeof value === 'object' && value !== null && '?' in value) {
    onlyMembers(field, ['?'])
    return unknown(text(member(field, '?')))
  }
  return known(read(field))
}
