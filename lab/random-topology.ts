/**
 * Random machines: trees of all the pieces QEMU has, grown from a seed until a budget is spent.
 *
 * The budgets exist so that every machine boots, and boots soon: boot time grows with the number of
 * functions (one costs about 0.1 s), only a few devices may want I/O windows, and bus numbers end at
 * 255. Odd but possible shapes are wanted: ports of the wrong type, conventional devices on PCIe
 * links, endpoints and root ports in one slot, functions without the multifunction bit.
 */
import type { Iommu } from './qemu.ts'
import { Random } from './random.ts'
import {
  bridge,
  type Bridge,
  endpoint,
  type EndpointModel,
  type ExtraRootBus,
  type Piece,
  type Slot,
  type Topology,
} from './topology.ts'

const slotFirst = 1
const slotLast = 0x18
const extraRootBusSlot = 0x19
const extraRootBusNumber = 0x80
const depthMax = 5

type Grower = {
  readonly random: Random
  readonly nvmeAllowed: boolean
  functionsLeft: number
  ioDevicesLeft: number
}

/** The machine of a seed; amd-iommu machines get no NVMe (see machines.ts). */
export function randomTopology(seed: number, iommu: Iommu): Topology {
  const random = new Random(seed)
  const grower: Grower = {
    random,
    nvmeAllowed: iommu !== 'amd-iommu',
    functionsLeft: random.between(10, 30),
    ioDevicesLeft: 4,
  }
  const extraRootBuses = random.percent(20) ? [growExtraRootBus(grower)] : []
  const slots: Slot[] = []
  for (let slot = slotFirst; slot <= slotLast && grower.functionsLeft > 0; slot += 1) {
    if (random.percent(15)) continue
    slots.push(growRootSlot(grower, slot))
  }
  return { slots, extraRootBuses }
}

function growExtraRootBus(grower: Grower): ExtraRootBus {
  const below: Slot[] = []
  for (let slot = 0; slot < grower.random.between(1, 3); slot += 1) {
    // QEMU lets only bridges onto such a bus.
    below.push(growPortSlot(grower, slot, 'ports only'))
  }
  return { slot: extraRootBusSlot, busNumber: extraRootBusNumber, below }
}

/** One slot of the first root bus. */
function growRootSlot(grower: Grower, slot: number): Slot {
  const { random } = grower
  if (random.percent(55)) return growPortSlot(grower, slot, 'mixed')
  if (random.percent(40)) return growEndpointSlot(grower, slot, 'root')
  return single(slot, growConventionalBridge(grower, 1))
}

/** One to four root ports as functions of one slot; when mixed, with an endpoint among them. */
function growPortSlot(grower: Grower, slot: number, kind: 'mixed' | 'ports only'): Slot {
  const { random } = grower
  const count = random.percent(70) ? 1 : random.between(2, 4)
  const functions: Piece[] = []
  for (let index = 0; index < count; index += 1) {
    const isEndpoint = kind === 'mixed' && index > 0 && random.percent(15)
    functions.push(isEndpoint ? growEndpoint(grower, 'root', false) : growRootPort(grower))
  }
  return manyFunctions(grower, slot, functions)
}

function growRootPort(grower: Grower): Bridge {
  const { random } = grower
  grower.functionsLeft -= 1
  const acs = random.percent(60)
  const below = random.percent(10) ? [] : [growLinkSlot(grower, 1)]
  if (random.percent(10)) return bridge('ioh3420', below)
  return { ...bridge('pcie-root-port', below), acs }
}

/** What sits at the end of a PCIe link: always slot 0. */
function growLinkSlot(grower: Grower, depth: number): Slot {
  const { random } = grower
  const mayGrow = depth < depthMax && grower.functionsLeft > 3
  if (!mayGrow || random.percent(45)) return growEndpointSlot(grower, 0, 'link')
  if (random.percent(55)) return single(0, growSwitch(grower, depth + 1))
  if (random.percent(60)) {
    grower.functionsLeft -= 1
    return single(0, bridge('pcie-pci-bridge', growConventionalBus(grower, depth + 1)))
  }
  if (random.percent(70)) return single(0, growConventionalBridge(grower, depth + 1))
  return single(0, growDownstreamPort(grower, depth + 1))
}

function growSwitch(grower: Grower, depth: number): Bridge {
  const { random } = grower
  grower.functionsLeft -= 1
  const slots: Slot[] = []
  for (let slot = 0; slot < random.between(1, 3); slot += 1) {
    if (depth < depthMax && random.percent(8)) {
      // An upstream port where a downstream port belongs: kernels have opinions about that.
      slots.push(single(slot, growSwitch(grower, depth + 1)))
      continue
    }
    const functions: Piece[] = [growDownstreamPort(grower, depth)]
    if (random.percent(25)) functions.push(growDownstreamPort(grower, depth))
    slots.push(manyFunctions(grower, slot, functions))
  }
  return bridge('x3130-upstream', slots)
}

function growDownstreamPort(grower: Grower, depth: number): Bridge {
  grower.functionsLeft -= 1
  const isEmpty = grower.random.percent(15)
  return bridge('xio3130-downstream', isEmpty ? [] : [growLinkSlot(grower, depth + 1)])
}

function growConventionalBridge(grower: Grower, depth: number): Bridge {
  grower.functionsLeft -= 1
  const model = grower.random.percent(50) ? 'i82801b11-bridge' : 'pci-bridge'
  return bridge(model, growConventionalBus(grower, depth))
}

/** Slots 1 to 3 of a conventional bus; slot 0 is taken by the bridge's hot-plug controller. */
function growConventionalBus(grower: Grower, depth: number): readonly Slot[] {
  const slots: Slot[] = []
  for (let slot = 1; slot <= grower.random.between(1, 3); slot += 1) {
    const nested = depth < depthMax && grower.functionsLeft > 2 && grower.random.percent(25)
    slots.push(
      nested
        ? single(slot, growConventionalBridge(grower, depth + 1))
        : growEndpointSlot(grower, slot, 'conventional'),
    )
  }
  return slots
}

type Place = 'root' | 'link' | 'conventional'

function growEndpointSlot(grower: Grower, slot: number, place: Place): Slot {
  const { random } = grower
  const count = random.percent(70) ? 1 : random.between(2, 3)
  const functions: Piece[] = []
  for (let index = 0; index < count; index += 1) {
    functions.push(growEndpoint(grower, place, count === 1))
  }
  return manyFunctions(grower, slot, functions)
}

function growEndpoint(grower: Grower, place: Place, alone: boolean): Piece {
  const { random } = grower
  grower.functionsLeft -= 1
  if (grower.ioDevicesLeft > 0 && random.percent(15)) {
    grower.ioDevicesLeft -= 1
    return endpoint(place === 'conventional' ? 'e1000' : random.pick(['e1000', 'e1000e']))
  }
  if (place !== 'conventional' && grower.nvmeAllowed && random.percent(25)) {
    // Virtual functions take the numbers after their parent's, so the slot must be free.
    const virtualFunctions = alone && random.percent(50) ? random.between(1, 3) : 0
    return endpoint('nvme', { virtualFunctions })
  }
  const models: readonly [EndpointModel, ...EndpointModel[]] = [
    ...(['edu', 'ich9-intel-hda', 'qemu-xhci', 'virtio-rng-pci'] as const),
  ]
  return endpoint(random.pick(models))
}

function single(slot: number, piece: Piece): Slot {
  return { slot, functions: [piece], multifunctionBit: 'first' }
}

function manyFunctions(grower: Grower, slot: number, functions: readonly Piece[]): Slot {
  return { slot, functions, multifunctionBit: grower.random.percent(50) ? 'every' : 'first' }
}
