/** Steps that call a container, a group or a device: right ones, wrong ones, in any order. */
import {
  CONTAINER_REQUEST,
  DEVICE_FEATURE,
  DEVICE_INFO,
  DEVICE_REQUEST,
  DIRTY_BITMAP,
  DMA_MAP,
  DMA_UNMAP,
  EXTENSION,
  FEATURE_FLAG,
  GROUP_REQUEST,
  GROUP_STATUS,
  HOT_RESET,
  HOT_RESET_INFO,
  IRQ_INFO,
  REGION_INFO,
  TYPE1_INFO,
} from '../../src/kernel/abi/vfio.ts'
import { encodeStructure, type Structure } from '../../src/kernel/abi/structure.ts'
import { setIrqs } from './generate-interrupts.ts'
import type { Argument, Operation, Patch, SlotName } from './operation.ts'
import { COUNTER_COUNT, MEMORY_BYTES } from './perform.ts'
import type { World } from './world.ts'

const PAGE = 4096
/** No process has so much memory in one piece. */
const HOLE_SURELY = 1n << 40n
const UNKNOWN_REQUEST = 0x3bff

type Call = readonly [request: number, argument: Argument]

/** A buffer as an argument. */
function buffer(bytes: Uint8Array, patches: readonly Patch[] = []): Argument {
  return { hex: Buffer.from(bytes).toString('hex'), patches }
}

function call(on: SlotName, [request, argument]: Call): Operation {
  return { kind: 'ioctl', on, request, argument }
}

/** @param towards a container that needs its IOMMU */
export function containerCall(world: World, towards?: SlotName): Operation | undefined {
  const { random } = world
  const on = towards ?? world.pick(world.open('container'))
  if (on === undefined) return undefined
  const type = world.pick([EXTENSION.type1, EXTENSION.type1v2, EXTENSION.type1v2]) ?? 1
  if (towards !== undefined && random.percent(90)) {
    return call(on, [CONTAINER_REQUEST.setIommu, { number: type }])
  }
  const kind = random.between(1, 100)
  if (kind <= 40) return call(on, mapCall(world))
  if (kind <= 62) return call(on, unmapCall(world))
  if (kind <= 72) return call(on, sized(world, CONTAINER_REQUEST.getInfo, TYPE1_INFO, INFO_SIZES))
  if (kind <= 80) {
    return call(on, [CONTAINER_REQUEST.checkExtension, { number: random.between(0, 11) }])
  }
  if (kind <= 88) {
    const number = world.pick([type, type, EXTENSION.noIommu, 2, 7, 0, 99]) ?? 1
    return call(on, [CONTAINER_REQUEST.setIommu, { number }])
  }
  if (kind <= 93) return call(on, dirtyCall(world))
  if (kind <= 96) return call(on, [CONTAINER_REQUEST.getApiVersion, { number: 0 }])
  return call(on, [UNKNOWN_REQUEST, { number: 0 }])
}

const INFO_SIZES: readonly number[] = [8, 15, 16, 23, 24, 60, 100, 119, 120, 200]

/** A structure of which the caller claims to have so many bytes. */
function sized(
  world: World,
  request: number,
  structure: { readonly bytes: number; readonly fields: { readonly argsz: readonly unknown[] } },
  sizes: readonly number[],
): Call {
  const argsz = world.pick(sizes) ?? structure.bytes
  const bytes = new Uint8Array(Math.max(argsz, structure.bytes))
  new DataView(bytes.buffer).setUint32(0, argsz, true)
  return [request, buffer(bytes)]
}

/** Places where mappings are made: near each other, so that they meet. */
function anyIova(world: World): bigint {
  const { random } = world
  const page = BigInt(random.between(0, 11) * PAGE)
  if (random.percent(80)) return page
  const bases = [0xfee0_0000n, 0xfedf_f000n, 0xfeef_f000n, 1n << 39n, (1n << 39n) - 0x2000n]
  const far = [(1n << 48n) - 0x1000n, 1n << 57n, (1n << 64n) - 0x1000n, 0x1234n, page + 0x800n]
  return world.pick([...bases, ...far]) ?? page
}

function anySize(world: World): bigint {
  const { random } = world
  if (random.percent(85)) return BigInt(random.between(1, 4) * PAGE)
  return world.pick([0n, 0x800n, 0x1001n, 1n << 40n, (1n << 64n) - 0x1000n, 0x10_0000n]) ?? 4096n
}

function mapCall(world: World): Call {
  const { random } = world
  const size = anySize(world)
  const flags = random.percent(90) ? random.between(1, 3) : random.between(0, 12)
  const argsz = random.percent(96) ? DMA_MAP.bytes : (world.pick([24, 31, 40]) ?? 32)
  const iova = anyIova(world)
  // What lies behind the trace's own memory is for the runtime to say.
  const beyond = size > BigInt(MEMORY_BYTES) && size < HOLE_SURELY
  const good = random.percent(92) && !beyond
  // Addresses that are wrong for every process: nothing there, not aligned, the kernel's half.
  const wrong = world.pick([0x1000n, 0x1001n, 0xffff_8000_0000_0000n, 0n]) ?? 0n
  const bytes = encodeStructure(DMA_MAP, { argsz, flags, vaddr: wrong, iova, size })
  if (!good) return [CONTAINER_REQUEST.mapDma, buffer(bytes)]
  const room = MEMORY_BYTES - Number(size > 0x1_0000n ? 0x1_0000n : size)
  const offset = random.percent(95) ? random.between(0, Math.floor(room / PAGE)) * PAGE : 0x10
  return [CONTAINER_REQUEST.mapDma, buffer(bytes, [{ at: 8, put: 'address', offset }])]
}

function unmapCall(world: World): Call {
  const { random } = world
  const all = random.percent(8)
  const flags = all ? 2 : random.percent(94) ? 0 : random.between(0, 8)
  const argsz = random.percent(96) ? DMA_UNMAP.bytes : (world.pick([16, 23, 32]) ?? 24)
  const none = all && random.percent(80)
  const iova = none ? 0n : anyIova(world)
  const size = none ? 0n : anySize(world)
  const bytes = encodeStructure(DMA_UNMAP, { argsz, flags, iova, size }, 24)
  return [CONTAINER_REQUEST.unmapDma, buffer(bytes)]
}

function dirtyCall(world: World): Call {
  const { random } = world
  const flags = world.pick([1, 2, 3, 4, 0, 8]) ?? 1
  const argsz = random.percent(90) ? 8 : 4
  const bytes = encodeStructure(DIRTY_BITMAP, { argsz, flags }, 40)
  return [CONTAINER_REQUEST.dirtyPages, buffer(bytes)]
}

/** @param towards a group that needs a container */
export function groupCall(world: World, towards?: SlotName): Operation | undefined {
  const { random } = world
  const on = towards ?? world.pick(world.open('group'))
  if (on === undefined) return undefined
  if (towards !== undefined && random.percent(85)) {
    return call(on, setContainer(world.pick(world.open('container'))))
  }
  const kind = random.between(1, 100)
  if (kind <= 25) {
    return call(on, sized(world, GROUP_REQUEST.getStatus, GROUP_STATUS, [4, 7, 8, 8, 8, 16]))
  }
  if (kind <= 45) {
    const slots = [...world.slots('container'), ...world.slots('group'), ...world.slots('device')]
    return call(on, setContainer(world.pick(slots)))
  }
  if (kind <= 50) {
    const patch = { at: 0, put: 'counter', index: 0 } as const
    return call(on, [GROUP_REQUEST.setContainer, buffer(new Uint8Array(4), [patch])])
  }
  if (kind <= 68) return call(on, [GROUP_REQUEST.unsetContainer, { number: 0 }])
  if (kind <= 94) {
    const slot = world.pick(world.empty('device')) ?? (['device', 0] as const)
    return { kind: 'open-device', group: on, name: deviceName(world), slot }
  }
  return call(on, [UNKNOWN_REQUEST, { number: 0 }])
}

function setContainer(slot: SlotName | undefined): Call {
  if (slot === undefined) {
    return [GROUP_REQUEST.setContainer, buffer(new Uint8Array([0xff, 0xff, 0xff, 0xff]))]
  }
  const patch = { at: 0, put: 'descriptor', of: slot } as const
  return [GROUP_REQUEST.setContainer, buffer(new Uint8Array(4), [patch])]
}

function deviceName(world: World): string {
  const address = world.pick(world.functions()) ?? ''
  const token = '0f0e0d0c-0b0a-0908-0706-050403020100'
  if (world.random.percent(85)) return address
  return (
    world.pick(['', address.slice(5), `${address} `, `${address} vf_token=${token}`, 'x']) ?? ''
  )
}

export function deviceCall(world: World): Operation | undefined {
  const { random } = world
  const on = world.pick(world.open('device'))
  if (on === undefined) return undefined
  const kind = random.between(1, 100)
  if (kind <= 10) {
    return call(on, sized(world, DEVICE_REQUEST.getInfo, DEVICE_INFO, [8, 15, 16, 20, 24, 64]))
  }
  if (kind <= 30) return call(on, indexed(world, DEVICE_REQUEST.getRegionInfo, REGION_INFO, 10))
  if (kind <= 42) return call(on, indexed(world, DEVICE_REQUEST.getIrqInfo, IRQ_INFO, 6))
  if (kind <= 75) return call(on, [DEVICE_REQUEST.setIrqs, setIrqs(world)])
  if (kind <= 80) return { kind: 'take', counter: random.between(0, COUNTER_COUNT - 1) }
  if (kind <= 85) return call(on, [DEVICE_REQUEST.reset, { number: 0 }])
  if (kind <= 90) {
    const sizes = [8, 11, 12, 20, 28, 36, 100]
    return call(on, sized(world, DEVICE_REQUEST.getHotResetInfo, HOT_RESET_INFO, sizes))
  }
  if (kind <= 93) return call(on, hotReset(world))
  if (kind <= 98) return call(on, feature(world))
  return call(on, [UNKNOWN_REQUEST, { number: 0 }])
}

/** Structures that are asked for by index. */
type Indexed = 'argsz' | 'flags' | 'index'

function indexed(
  world: World,
  request: number,
  { bytes: size, fields }: Structure<Indexed>,
  last: number,
): Call {
  const index = world.random.between(0, last)
  const odd = world.pick([8, size - 1, size + 8, size + 32]) ?? size
  const argsz = world.random.percent(75) ? size : odd
  const structure: Structure<Indexed> = { bytes: size, fields }
  const extra = Math.max(0, argsz - size)
  return [request, buffer(encodeStructure(structure, { argsz, index }, extra))]
}

function hotReset(world: World): Call {
  const { random } = world
  const groups = world.open('group').slice(0, random.between(0, 3))
  const count = random.percent(90) ? groups.length : random.between(0, 5)
  const argsz = random.percent(90) ? HOT_RESET.bytes + 4 * count : 8
  const flags = random.percent(95) ? 0 : 1
  const bytes = encodeStructure(HOT_RESET, { argsz, flags, count }, 4 * Math.max(count, 5))
  // No descriptor where no group is left: the first ones of a process differ.
  bytes.fill(0xff, HOT_RESET.bytes)
  const patches = groups.map((of, index) => {
    return { at: HOT_RESET.bytes + 4 * index, put: 'descriptor', of } as const
  })
  return [DEVICE_REQUEST.hotReset, buffer(bytes, patches)]
}

function feature(world: World): Call {
  const { get, set, probe } = FEATURE_FLAG
  const number = world.random.between(0, 12)
  const operation = world.pick([probe, probe | get, probe | set, get, set, get | set, 0]) ?? probe
  const argsz = world.pick([8, 8, 16, 24, 4]) ?? 8
  const flags = number | operation
  const bytes = encodeStructure(DEVICE_FEATURE, { argsz, flags }, Math.max(0, argsz - 8))
  // Where a feature wants a descriptor: none.
  bytes.fill(0xff, DEVICE_FEATURE.bytes, DEVICE_FEATURE.bytes + 4)
  return [DEVICE_REQUEST.feature, buffer(bytes)]
}
