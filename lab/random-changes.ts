/**
 * Random changes of a machine: the words that `isogroup what-if` is asked with, and the machine as QEMU has to
 * be told to build it. Names are those before all changes, as firmware gives them: buses depth first.
 */
import type { Random } from './random.ts'
import { type Bridge, endpoint, type EndpointModel, type Piece, type Topology } from './topology.ts'

export type ChangedTopology = {
  readonly words: readonly string[]
  readonly topology: Topology
}

type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T
type OpenTopology = Mutable<Topology>
type OpenSlot = Mutable<Topology['slots'][number]>
type OpenBridge = Mutable<Bridge>

/** One function with where it is. */
type Found = {
  readonly piece: Mutable<Piece>
  /** Its name before the changes. */
  readonly address: string
  readonly slot: OpenSlot
  /** The bus that the slot is on. */
  readonly bus: OpenSlot[]
}

const linkPorts: readonly string[] = ['pcie-root-port', 'ioh3420', 'xio3130-downstream']

/** What `add` calls QEMU's models that have no registers in I/O space, of which there is little. */
const newcomers: readonly [EndpointModel, ...EndpointModel[]] = ['edu', 'qemu-xhci']

/** Between one and `countMax` changes; fewer where the machine has no place for them. */
export function randomChanges(
  random: Random,
  topology: Topology,
  countMax: number,
): ChangedTopology {
  const open = structuredClone(topology) as OpenTopology
  const names = namesOf(open)
  const words: string[] = []
  for (let left = random.between(1, countMax); left > 0; left -= 1) {
    const word = random.pick([changeAcs, moveCard, removeDevice, addDevice])(random, open, names)
    if (word !== undefined) words.push(word)
  }
  return { words, topology: open }
}

/** What is in the machine now; what was added has no name, and is left alone. */
function present(topology: OpenTopology, names: ReadonlyMap<object, string>): readonly Found[] {
  const found: Found[] = []
  const visit = (bus: OpenSlot[]): void => {
    for (const slot of bus) {
      for (const piece of slot.functions) {
        const address = names.get(piece)
        if (address !== undefined) found.push({ piece, address, slot, bus })
        if (piece.kind === 'bridge') visit(piece.below)
      }
    }
  }
  visit(topology.slots)
  for (const extra of topology.extraRootBuses) visit(extra.below)
  return found
}

function namesOf(topology: OpenTopology): ReadonlyMap<object, string> {
  const names = new Map<object, string>()
  const visit = (slots: readonly OpenSlot[], bus: number, last: number): number => {
    let next = last
    for (const { slot, functions } of slots.toSorted((a, b) => a.slot - b.slot)) {
      functions.forEach((piece, index) => {
        names.set(piece, `0000:${hex(bus)}:${hex(slot)}.${index}`)
        if (piece.kind === 'bridge') next = visit(piece.below, next + 1, next + 1)
      })
    }
    return next
  }
  visit(topology.slots, 0, 0)
  for (const { busNumber, below } of topology.extraRootBuses) visit(below, busNumber, busNumber)
  return names
}

function hex(number: number): string {
  return number.toString(16).padStart(2, '0')
}

type Draw = (
  random: Random,
  topology: OpenTopology,
  names: ReadonlyMap<object, string>,
) => string | undefined

const changeAcs: Draw = (random, topology, names) => {
  const ports = present(topology, names).filter(({ piece }) => {
    return piece.kind === 'bridge' && /^(pcie-root-port|ioh3420)$/.test(piece.model)
  })
  const port = draw(random, ports)
  if (port?.piece.kind !== 'bridge') return undefined
  port.piece.acs = !port.piece.acs
  return `acs=${port.piece.acs ? 'on' : 'off'}@${port.address}`
}

const moveCard: Draw = (random, topology, names) => {
  const all = present(topology, names)
  const target = draw(random, all.filter(isEmptyPort))
  const ends = new Set<OpenSlot[]>(all.flatMap(({ piece }) => (isPort(piece) ? [piece.below] : [])))
  const cards = all.filter(({ piece, slot, bus }) => {
    return ends.has(bus) && slot.functions[0] === piece && !holds(slot, target?.piece)
  })
  const card = draw(random, cards)
  if (card === undefined || target?.piece.kind !== 'bridge') return undefined
  card.bus.splice(card.bus.indexOf(card.slot), 1)
  target.piece.below.push(card.slot)
  return `move ${card.address} ${target.address}`
}

const removeDevice: Draw = (random, topology, names) => {
  const alone = present(topology, names).filter(({ slot }) => slot.functions.length === 1)
  const gone = draw(random, alone)
  if (gone === undefined) return undefined
  gone.bus.splice(gone.bus.indexOf(gone.slot), 1)
  return `remove ${gone.address}`
}

const addDevice: Draw = (random, topology, names) => {
  const port = draw(random, present(topology, names).filter(isEmptyPort))
  if (port?.piece.kind !== 'bridge') return undefined
  const model = random.pick(newcomers)
  const functions = [endpoint(model) as Mutable<Piece>]
  port.piece.below.push({ slot: 0, functions, multifunctionBit: 'first' })
  return `add ${model} ${port.address}`
}

function isPort(piece: Mutable<Piece>): piece is OpenBridge {
  return piece.kind === 'bridge' && linkPorts.includes(piece.model)
}

function isEmptyPort({ piece }: Found): boolean {
  return isPort(piece) && piece.below.length === 0
}

/** Whether a slot has the piece in it, or below. */
function holds(slot: OpenSlot, wanted: object | undefined): boolean {
  return slot.functions.some((piece) => {
    if (piece === wanted) return true
    return piece.kind === 'bridge' && piece.below.some((below) => holds(below, wanted))
  })
}

function draw<T>(random: Random, list: readonly T[]): T | undefined {
  const [first, ...rest] = list
  return first === undefined ? undefined : random.pick([first, ...rest])
}
