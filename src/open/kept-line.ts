/**
 * Lines of the file of a kept model (kept-model.ts): a heading, then one change each. Files come from disks and
 * editors, so each member is checked before it is believed.
 */
import { Buffer } from 'node:buffer'
import { IsogroupError } from '../base/errors.ts'
import { count, type Field, matched, member, onlyMembers, reject, text } from './json-fields.ts'

/** The first line. */
export interface KeptHeading {
  /** Name of the machine. */
  readonly machine: string
  /** SHA-256 of its description, in hexadecimal: the changes are those of this very machine. */
  readonly digest: string
  readonly bootId: string
}

/** A change that was made through the Kernel port. */
export type KeptChange =
  | { readonly kind: 'write'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly kind: 'chown'; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly kind: 'chmod'; readonly path: string; readonly mode: number }
  | { readonly kind: 'load'; readonly name: string }

export interface KeptLine {
  readonly change: KeptChange
  /** "done", or the errno by name. */
  readonly answer: string
}

const FORMAT = 'isogroup-kept-model'
const VERSION = 1
const ID_MAX = 0xffff_ffff
/** Of what needs no more than a page. */
const BASE64 = /^([A-Za-z0-9+/]*={0,2})$/

/** @throws IsogroupError bad-machine, naming file and line @param line counted from 1 */
export function damagedLine(file: string, line: number, what: string): IsogroupError {
  return new IsogroupError(
    'bad-machine',
    `${file}:${String(line)}: ${what}`,
    'The file says what was done to the model. Remove it to have the machine as it boots.',
  )
}

export function headingText({ machine, digest, bootId }: KeptHeading): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, machine, digest, bootId })}\n`
}

/** @throws IsogroupError bad-machine */
export function parseHeading(file: string, line: string): KeptHeading {
  return checked(file, 1, line, (field) => {
    matched(member(field, 'format'), /^(isogroup-kept-model)$/, `"${FORMAT}"`)
    count(member(field, 'version'), VERSION)
    onlyMembers(field, ['format', 'version', 'machine', 'digest', 'bootId'])
    return {
      machine: text(member(field, 'machine')),
      digest: text(member(field, 'digest')),
      bootId: matched(member(field, 'bootId'), /^([0-9a-f-]{36})$/, 'a UUID')[0] ?? '',
    }
  })
}

export function changeText({ change, answer }: KeptLine): string {
  return `${JSON.stringify({ ...fieldsOf(change), answer })}\n`
}

function fieldsOf(change: KeptChange): Readonly<Record<string, string | number>> {
  switch (change.kind) {
    case 'write': {
      const { path, bytes } = change
      const read = Buffer.from(bytes).toString('utf8')
      // What is no text is kept as it is.
      return Buffer.from(read, 'utf8').equals(bytes)
        ? { write: path, text: read }
        : { write: path, base64: Buffer.from(bytes).toString('base64') }
    }
    case 'chown':
      return { chown: change.path, uid: change.uid, gid: change.gid }
    case 'chmod':
      return { chmod: change.path, mode: change.mode.toString(8) }
    case 'load':
      return { load: change.name }
  }
}

/** @param number of the line, from 1 @throws IsogroupError bad-machine */
export function parseLine(file: string, number: number, line: string): KeptLine {
  return checked(file, number, line, (field) => ({
    change: changeOf(field),
    answer: matched(member(field, 'answer'), /^(done|E[A-Z0-9_]+)$/, '"done" or an errno')[0] ?? '',
  }))
}

function changeOf(field: Field): KeptChange {
  const has = (name: string): boolean => member(field, name).value !== undefined
  if (has('write')) {
    const encoded = has('base64')
    onlyMembers(field, ['write', encoded ? 'base64' : 'text', 'answer'])
    return { kind: 'write', path: text(member(field, 'write')), bytes: bytesOf(field, encoded) }
  }
  if (has('chown')) {
    onlyMembers(field, ['chown', 'uid', 'gid', 'answer'])
    const path = text(member(field, 'chown'))
    const [uid, gid] = [count(member(field, 'uid'), ID_MAX), count(member(field, 'gid'), ID_MAX)]
    return { kind: 'chown', path, uid, gid }
  }
  if (has('chmod')) {
    onlyMembers(field, ['chmod', 'mode', 'answer'])
    const [mode = ''] = matched(member(field, 'mode'), /^([0-7]{1,4})$/, 'an octal mode')
    return { kind: 'chmod', path: text(member(field, 'chmod')), mode: parseInt(mode, 8) }
  }
  onlyMembers(field, ['load', 'answer'])
  return { kind: 'load', name: text(member(field, 'load')) }
}

function bytesOf(field: Field, encoded: boolean): Uint8Array {
  if (!encoded) return new Uint8Array(Buffer.from(text(member(field, 'text')), 'utf8'))
  const [digits = ''] = matched(member(field, 'base64'), BASE64, 'base64')
  return new Uint8Array(Buffer.from(digits, 'base64'))
}

function checked<T>(file: string, number: number, line: string, parse: (field: Field) => T): T {
  try {
    const field: Field = { value: parsed(line), path: '' }
    return parse(field)
  } catch (cause) {
    if (!(cause instanceof IsogroupError)) throw cause
    throw damagedLine(file, number, cause.message)
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown
  } catch {
    return reject({ value: line, path: '' }, 'one JSON object')
  }
}
