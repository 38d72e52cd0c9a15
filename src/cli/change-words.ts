/**
 * The changes of `what-if`, from the words of the command line. Words may come one by one or quoted
 * together: `move 01:00.0 00:02.0 intremap=off` is the same as `"move 01:00.0 00:02.0" intremap=off`.
 */
import { IsogroupError } from '../base/errors.ts'
import { parseKernelVersion } from '../base/kernel-version.ts'
import type { Host, HostSnapshot } from '../isolation/host.ts'
import type { Change } from '../open/what-if.ts'
import { nearest } from './nearest.ts'
import { resolveTarget } from './target.ts'

/** Name of each change and the words that follow it. */
const FORMS: Readonly<Record<string, readonly string[]>> = {
  move: ['DEVICE', 'PORT'],
  add: ['KIND', 'PORT'],
  remove: ['DEVICE'],
  vfs: ['DEVICE', 'N'],
  bind: ['DEVICE', 'DRIVER'],
}
const SETTINGS = [
  'acs=on@PORT',
  'acs=off@PORT',
  'kernel=VERSION',
  'intremap=on',
  'intremap=off',
  'iommu=on',
  'iommu=off',
]

const VIRTUAL_FUNCTIONS_MAX = 0xffff

/** A kind of device that can be added. */
export interface Kind {
  readonly name: string
  /** What it is, in a line. */
  readonly text: string
}

/**
 * @param host whose devices the words name
 * @param kinds what `add` knows
 * @throws IsogroupError usage, bad-change (no such kind), not-found, ambiguous
 */
export function parseChanges(
  args: readonly string[],
  host: Host,
  kinds: readonly Kind[],
): readonly Change[] {
  const words = args.flatMap((arg) => arg.split(/\s+/)).filter((word) => word !== '')
  if (words.length === 0) throw usage('no change was given')
  const snapshot = host.snapshot()
  const changes: Change[] = []
  for (let at = 0; at < words.length; ) {
    const word = words[at] ?? ''
    const form = FORMS[word]
    if (form === undefined) {
      changes.push(setting(word, host, snapshot))
      at += 1
      continue
    }
    const given = words.slice(at + 1, at + 1 + form.length)
    if (given.length < form.length) throw usage(`"${word}" wants ${form.join(' and ')} after it`)
    if (word === 'add') checkKind(given[0] ?? '', kinds)
    changes.push(action(word, given, host, snapshot))
    at += 1 + form.length
  }
  return changes
}

function action(
  word: string,
  given: readonly string[],
  host: Host,
  snapshot: HostSnapshot,
): Change {
  const [first = '', second = ''] = given
  const address = (text: string): string => functionAddress(text, host, snapshot)
  switch (word) {
    case 'move':
      return { kind: 'move', device: address(first), port: address(second) }
    case 'add':
      return { kind: 'add', what: first, port: address(second) }
    case 'remove':
      return { kind: 'remove', device: address(first) }
    case 'vfs':
      return { kind: 'vfs', device: address(first), count: virtualFunctions(second) }
    default:
      return { kind: 'bind', device: address(first), driver: second === 'none' ? null : second }
  }
}

function checkKind(name: string, kinds: readonly Kind[]): void {
  if (kinds.some((kind) => kind.name === name)) return
  const names = kinds.map((kind) => kind.name)
  const meant = nearest(name, names)[0] ?? names.find((one) => one.includes(name))
  const question = meant === undefined ? '' : `; is "${meant}" meant?`
  const width = Math.max(...names.map((one) => one.length))
  const lines = kinds.map((kind) => `\n    ${kind.name.padEnd(width)}  ${kind.text}`)
  throw new IsogroupError(
    'bad-change',
    `there is no kind of device "${name}"${question}`,
    `name one of these kinds:${lines.join('')}`,
  )
}

function virtualFunctions(text: string): number {
  const count = /^\d{1,5}$/.test(text) ? Number(text) : Infinity
  if (count <= VIRTUAL_FUNCTIONS_MAX) return count
  throw usage(`"${text}" is no number of virtual functions: 0 to ${String(VIRTUAL_FUNCTIONS_MAX)}`)
}

function setting(word: string, host: Host, snapshot: HostSnapshot): Change {
  const [, name = '', value = '', place] = /^([a-z]+)=([^@]*)(?:@(.+))?$/.exec(word) ?? []
  const on = value === 'on' ? true : value === 'off' ? false : null
  if (name === 'acs' && on !== null && place !== undefined) {
    return { kind: 'acs', on, port: functionAddress(place, host, snapshot) }
  }
  if (name === 'intremap' && on !== null && place === undefined) return { kind: 'intremap', on }
  if (name === 'iommu' && on !== null && place === undefined) return { kind: 'iommu', on }
  if (name === 'kernel' && place === undefined && parseKernelVersion(value) !== null) {
    return { kind: 'kernel', version: value }
  }
  if (name === 'kernel' && place === undefined)
    throw usage(`"${word}" names no kernel version such as kernel=6.1`)
  if (['acs', 'intremap', 'iommu', 'kernel'].includes(name)) {
    const wanted = SETTINGS.filter((form) => form.startsWith(`${name}=`)).join(' or ')
    throw usage(`"${word}" is no change: say ${wanted}`)
  }
  const names = [...Object.keys(FORMS), 'acs', 'kernel', 'intremap', 'iommu']
  const [meant] = nearest(name === '' ? (word.split('=')[0] ?? '') : name, names)
  throw usage(`"${word}" is no change${meant === undefined ? '' : `; is "${meant}" meant?`}`)
}

function functionAddress(text: string, host: Host, snapshot: HostSnapshot): string {
  const target = resolveTarget(text, host, snapshot)
  if (target.kind === 'device') return target.fn.address
  throw usage(`"${text}" is no PCI function: changes are about functions and ports`)
}

function usage(message: string): IsogroupError {
  const actions = Object.entries(FORMS).map(([name, words]) => `${name} ${words.join(' ')}`)
  return new IsogroupError('usage', message, `changes are ${[...actions, ...SETTINGS].join(', ')}`)
}
