/**
 * The kernel's own groups as far as a text tells them: lspci's "IOMMU group" lines, the headings of
 * group listings, or else the kernel log.
 *
 * Group numbers change from boot to boot, so they are taken from the run of lspci that prints most of
 * them, and from others only where they do not contradict it. A function without a line has no group.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import type { HostGroup, OtherDevice } from '../isolation/host.ts'
import { parseAddress } from '../pci/address.ts'
import type { Block } from './blocks.ts'
import { isVerbose } from './capability-lines.ts'
import type { LoggedDevice } from './surroundings.ts'

export interface KernelGroups {
  /** Group of a function; null when the kernel gave it none. */
  of(address: string): Fact<string | null>
  readonly groups: Fact<readonly HostGroup[]>
  readonly otherDevices: readonly OtherDevice[]
}

const NONE = 'the text holds no groups (lspci -v prints them since pciutils 3.6)'
const NOT_SAID = 'lspci text does not say'

export function kernelGroups(
  blocks: readonly Block[],
  logged: ReadonlyMap<string, LoggedDevice>,
): KernelGroups {
  const printed = printedGroups(blocks)
  if (printed !== null) return build(printed, [])
  if (logged.size === 0) {
    return { of: () => unknown(NONE), groups: unknown(NONE), otherDevices: [] }
  }
  const known_ = new Map<string, Fact<string | null>>()
  const others: OtherDevice[] = []
  for (const device of logged.values()) {
    known_.set(device.name, known(device.group))
    if (parseAddress(device.name) !== null) continue
    const bus = device.word === '' ? unknown(NOT_SAID) : known(device.word)
    others.push({ name: device.name, bus, driver: unknown(NOT_SAID), group: device.group })
  }
  return build({ facts: known_, rest: restOf(logged) }, others)
}

/** A log that counts from 0 without a gap is whole: what it does not name got no group. */
function restOf(logged: ReadonlyMap<string, LoggedDevice>): Fact<string | null> {
  const numbers = new Set([...logged.values()].map((device) => Number(device.group)))
  const whole = Math.max(...numbers) === numbers.size - 1
  return whole ? known(null) : unknown('the kernel log in the text is not complete')
}

interface Source {
  readonly facts: ReadonlyMap<string, Fact<string | null>>
  /** For functions that the source does not name. */
  readonly rest: Fact<string | null>
}

function printedGroups(blocks: readonly Block[]): Source | null {
  const runs = new Map<number, Map<string, string>>()
  for (const block of blocks) {
    const group = block.heading ?? groupLine(block)
    if (group === null) continue
    const run = runs.get(block.run) ?? new Map<string, string>()
    run.set(block.address, group)
    runs.set(block.run, run)
  }
  if (runs.size === 0) return null
  const chosen = new Set<number>()
  const numbers = new Map<string, string>()
  const ordered = [...runs].sort(([a, x], [b, y]) => y.size - x.size || b - a)
  for (const [run, groups] of ordered) {
    if (![...groups].every(([at, group]) => (numbers.get(at) ?? group) === group)) continue
    for (const [at, group] of groups) numbers.set(at, group)
    chosen.add(run)
  }
  const facts = new Map<string, Fact<string | null>>()
  for (const block of blocks) {
    if (chosen.has(block.run) && printsGroups(block)) facts.set(block.address, known(null))
  }
  for (const [at, group] of numbers) facts.set(at, known(group))
  return { facts, rest: unknown('the text does not tell the group of this function') }
}

/** Own line with -vv, inside the flags with -v. */
function groupLine(block: Block): string | null {
  for (const line of block.lines) {
    const match =
      /^IOMMU group:? (\d{1,6})\b/.exec(line) ??
      (line.startsWith('Flags: ') ? /\bIOMMU group (\d{1,6})\b/.exec(line) : null)
    if (match !== null) return String(Number(match[1]))
  }
  return null
}

function printsGroups(block: Block): boolean {
  return isVerbose(block) && (block.whole || block.lines.some((l) => l.startsWith('Capabilities:')))
}

function build(source: Source, others: readonly OtherDevice[]): KernelGroups {
  const members = new Map<string, string[]>()
  for (const [name, fact] of source.facts) {
    if (!fact.known || fact.value === null) continue
    const list = members.get(fact.value)
    if (list === undefined) members.set(fact.value, [name])
    else list.push(name)
  }
  const groups = [...members]
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([id, names]) => ({
      id,
      members: names.sort(),
      type: unknown(NOT_SAID),
      name: unknown(NOT_SAID),
      reserved: unknown(NOT_SAID),
    }))
  return {
    of: (address) => source.facts.get(address) ?? source.rest,
    groups: known(groups),
    otherDevices: others,
  }
}
