/**
 * The changes of `what-if`, from the words of the command line. Words may come one by one or quoted
 * together: `move 01:00.0 00:02.0 intremap=off` is the same as `"move 01:00.0 00:02.0" intremap=off`.
 * What `add` adds is called new1, new2, ... in the words behind it.
 */
import { IsogroupError } from '../base/errors.ts'
import type { Host, HostSnapshot } from '../isolation/host.ts'
import type { Change } from '../open/what-if.ts'
import { kernelVersion } from './kernel-word.ts'
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

/** What words can name. */
interface Names {
  readonly host: Host
  readonly snapshot: HostSnapshot
  readonly kinds: readonly Kind[]
  /** Devices that words before these added. */
  added: number
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
  const names: Names = { host, snapshot: host.snapshot(), kinds, added: 0 }
  const changes: Change[] = []
  for (let at = 0; at < words.length; ) {
    const word = words[at] ?? ''
    const form = FORMS[word]
    if (form === undefined) {
      changes.push(setting(word, names))
      at += 1
      continue
    }
    const given = words.slice(at + 1, at + 1 + form.length)
    if (given.length < form.length) throw usage(`"${word}" wants ${form.join(' and ')} after it`)
    changes.push(action(word, given, names))
    at += 1 + form.length
  }
  return changes
}

function action(word: string, given: readonly string[], names: Names): Change {
  const [first = '', second = ''] = given
  switch (word) {
    case 'move':
      return { kind: 'move', device: nameOf(first, names), port: placeName(second, names) }
    case 'add': {
      const what = kindNamed(first, names.kinds)
      const port = placeName(second, names)
      names.added += 1
      return { kind: 'add', what, port }
    }
    case 'remove':
      return { kind: 'remove', device: nameOf(first, names) }
    case 'vfs':
      return { kind: 'vfs', device: nameOf(first, names), count: virtualFunctions(second) }
    default:
      return {
        kind: 'bind',
        device: nameOf(first, names),
        driver: second === 'none' ? null : second,
      }
  }
}

/** By its name, or the one that QEMU has for it, which stands in brackets behind the text. */
function kindNamed(name: string, kinds: readonly Kind[]): string {
  const found = kinds.find((kind) => kind.name === name || kind.text.endsWith(`(${name})`))
  if (found !== undefined) return found.name
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

function setting(word: string, names: Names): Change {
  const [, name = '', value = '', place] = /^([a-z]+)=([^@]*)(?:@(.*))?$/.exec(word) ?? []
  const on = value === 'on' ? true : value === 'off' ? false : null
  if (name === 'acs' && on !== null && place !== undefined && place !== '') {
    return { kind: 'acs', on, port: nameOf(place, names) }
  }
  if (name === 'intremap' && on !== null && place === undefined) return { kind: 'intremap', on }
  if (name === 'iommu' && on !== null && place === undefined) return { kind: 'iommu', on }
  if (name === 'kernel' && place === undefined) {
    kernelVersion(value, `"${word}"`, 'kernel=6.1')
    return { kind: 'kernel', version: value }
  }
  if (['acs', 'intremap', 'iommu', 'kernel'].includes(name)) {
    const wanted = SETTINGS.filter((form) => form.startsWith(`${name}=`)).join(' or ')
    throw usage(`"${word}" is no change: say ${wanted}`)
  }
  const known = [...Object.keys(FORMS), 'acs', 'kernel', 'intremap', 'iommu']
  const [meant] = nearest(name === '' ? (word.split('=')[0] ?? '') : name, known)
  throw usage(`"${word}" is no change${meant === undefined ? '' : `; is "${meant}" meant?`}`)
}

/** Full address of a function, or the name of an added one. */
function nameOf(text: string, { host, snapshot, added }: Names): string {
  const number = /^new(\d{1,4})$/.exec(text)?.[1]
  if (number !== undefined && Number(number) > 0) {
    if (Number(number) <= added) return `new${String(Number(number))}`
    throw usage(`"${text}" names nothing: ${addedText(added)} added before it`)
  }
  const target = resolveTarget(text, host, snapshot)
  if (target.kind === 'device') return target.fn.address
  throw usage(`"${text}" is no PCI function: changes are about functions and ports`)
}

function addedText(count: number): string {
  if (count === 0) return 'nothing was'
  return count === 1 ? 'only new1 was' : `only new1 to new${String(count)} were`
}

/** The same, or a root bus: "0000:00", "pci0000:00". */
function placeName(text: string, names: Names): string {
  const bus = /^(?:pci)?([0-9a-f]{4,8}:[0-9a-f]{2})$/i.exec(text)?.[1]?.toLowerCase()
  if (bus === undefined) return nameOf(text, names)
  const roots = rootBuses(names.snapshot)
  if (roots.includes(bus)) return bus
  throw usage(`"${text}" is no root bus of ${names.snapshot.source}: it has ${roots.join(', ')}`)
}

function rootBuses({ functions }: HostSnapshot): readonly string[] {
  const roots = functions
    .filter(({ parent, physicalFunction }) => {
      return parent === null && (!physicalFunction.known || physicalFunction.value === null)
    })
    .map(({ address }) => address.slice(0, address.lastIndexOf(':')))
  return [...new Set(roots)]
}

function usage(message: string): IsogroupError {
  const actions = Object.entries(FORMS).map(([name, words]) => `${name} ${words.join(' ')}`)
  return new IsogroupError('usage', message, `changes are ${[...actions, ...SETTINGS].join(', ')}`)
}
