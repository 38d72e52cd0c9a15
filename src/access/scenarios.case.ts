/**
 * What programs do with devices, once for every host: the unit tests run it on models, the lab in a guest on real
 * kernels. Two teaching devices (edu), each alone in a group that is claimed.
 */
import assert from 'node:assert/strict'
import { encodeUtf8 } from '../base/utf8.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { MapOptions } from './address-space.ts'
import type { Context, ContextOptions } from './context.ts'
import type { Device } from './device.ts'
import { DeviceRemovedError } from './device-removed-error.ts'
import type { DmaMemory } from './dma-memory.ts'
import { groupOf } from './group-of.ts'
import { InterruptsClosedError } from './interrupts.ts'
import { openContext } from './open-context.ts'

export interface AccessWorld {
  readonly kernel: Kernel
  /** Addresses of two teaching devices. */
  readonly edu: readonly [string, string]
  /** Addresses (IOVA) that IOMMUs refused since the last call. */
  faults(): readonly number[]
}

export interface Scenario {
  readonly name: string
  readonly run: (world: AccessWorld) => Promise<void>
}

const REG = { id: 0x00, inverted: 0x04, factorial: 0x08, status: 0x20, irqs: 0x24, raise: 0x60 }
const ACKNOWLEDGE = 0x64
const DMA = { source: 0x80, target: 0x88, count: 0x90, command: 0x98 }
const [TO_DEVICE, TO_MEMORY] = [1, 3]
const IDENTIFICATION = 0x0100_00ed
const BUFFER = 0x4_0000
const BELOW: MapOptions = { below: 2 ** 28 }
const COMMAND = 0x04
/** Slower than any host. */
const PATIENCE = 60_000
const PAGE = 4096

async function withContext(
  { kernel }: AccessWorld,
  groups: readonly string[],
  act: (context: Context) => Promise<void>,
  options: ContextOptions = {},
): Promise<void> {
  const context = await openContext({ kernel }, groups, options)
  try {
    await act(context)
  } finally {
    await context.close()
  }
}

/** QEMU 7.2 ends itself when a transfer reaches the last of the device's 4096 bytes (edu_check_range). */
const PIECE = 2048

/** One transfer, and until it is over. */
async function transfer(device: Device, from: number, to: number, command: number): Promise<void> {
  const bar = device.bar(0)
  bar.write64(DMA.source, BigInt(from))
  bar.write64(DMA.target, BigInt(to))
  bar.write64(DMA.count, BigInt(PIECE))
  bar.write32(DMA.command, command)
  while ((bar.read32(DMA.command) & 1) !== 0) await soon()
}

function soon(milliseconds = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** What is refused without a call of the kernel, or by it, always has words and a next step. */
async function refused(act: () => unknown, message: RegExp): Promise<void> {
  await assert.rejects(async () => {
    await act()
  }, message)
}

/** Different bytes at every place. */
function fill(memory: DmaMemory, seed: number): void {
  memory.bytes.forEach((_, at) => {
    memory.bytes[at] = seed + at + (at >> 8)
  })
}

export const scenarios: readonly Scenario[] = [
  { name: 'computes, and is told by an interrupt', run: computes },
  { name: 'moves memory to the device and back', run: movesMemory },
  { name: 'reaches nothing that is not mapped, and the fault is seen', run: reachesNothing },
  { name: 'reads only where it may only read', run: onlyReads },
  { name: 'merges two groups into one address space', run: merges },
  { name: 'adds a group to a living context and removes it', run: addsAndRemoves },
  { name: 'gives addresses as they are wanted', run: givesAddresses },
  { name: 'maps parts, one after the other', run: mapsParts },
  { name: 'tells the limit of mappings', run: limitOfMappings },
  { name: 'refuses registers that do not answer', run: silentRegisters },
  { name: 'resets the slot, and nothing else', run: resets },
  { name: 'is told by the interrupt pin', run: interruptPin },
  { name: 'ends loops over interrupts with the device', run: endsLoops },
  { name: 'lets a device go that the host wants back', run: removed },
  { name: 'survives the loss of its only group', run: removedAlone },
  { name: 'refuses with the reason and the next step', run: refusals },
  { name: 'leaves nothing behind', run: leavesNothing },
]

async function computes(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    assert.equal(device.config.read16(0), 0x1234)
    const bar = device.bar(0)
    assert.equal(bar.read32(REG.id), IDENTIFICATION)
    bar.write32(REG.inverted, 0x1234_5678)
    assert.equal(bar.read32(REG.inverted), ~0x1234_5678 >>> 0)
    device.enable()
    const vector = device.interrupts('msi').vector(0)
    bar.write32(REG.status, 0x80)
    bar.write32(REG.factorial, 5)
    assert.equal(await vector.next(), 1)
    assert.equal(bar.read32(REG.factorial), 120)
    assert.equal(bar.read32(REG.irqs), 1)
    bar.write32(ACKNOWLEDGE, 1)
    assert.equal(vector.take(), 0)
  })
}

async function movesMemory(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    const memory = context.allocate(2 * PAGE)
    const { iova } = context.map(memory, BELOW)
    fill(memory, 3)
    const sent = memory.bytes.slice(PAGE, PAGE + PIECE)
    await transfer(device, iova + PAGE, BUFFER, TO_DEVICE)
    memory.bytes.fill(0)
    await transfer(device, BUFFER, iova, TO_MEMORY)
    assert.deepEqual(memory.bytes.subarray(0, PIECE), sent)
    assert.ok(memory.bytes.subarray(PIECE).every((byte) => byte === 0))
  })
  assert.deepEqual(world.faults(), [])
}

async function reachesNothing(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    const memory = context.allocate(PAGE)
    const mapping = context.map(memory, { iova: 0x10_0000 })
    memory.bytes.fill(7)
    context.unmap(mapping)
    world.faults()
    await transfer(device, BUFFER, 0x10_0000, TO_MEMORY)
    assert.ok(memory.bytes.every((byte) => byte === 7))
    await soon(200)
    assert.ok(world.faults().includes(0x10_0000), 'the IOMMU tells of it')
  })
}

async function onlyReads(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    const memory = context.allocate(PAGE)
    const { iova } = context.map(memory, { ...BELOW, direction: 'to-device' })
    memory.bytes.fill(1)
    // Without reading first: QEMU's IOMMU remembers what was read, and then refuses in silence.
    await transfer(device, BUFFER, iova, TO_MEMORY)
    assert.ok(memory.bytes.every((byte) => byte === 1))
    await soon(200)
    assert.ok(world.faults().includes(iova))
  })
}

async function merges(world: AccessWorld): Promise<void> {
  await withContext(world, world.edu, async (context) => {
    assert.equal(context.groups.length, 2)
    const [first, second] = world.edu.map((address) => context.device(address)) as [Device, Device]
    const memory = context.allocate(PAGE)
    const { iova } = context.map(memory, BELOW)
    for (const device of [first, second]) device.enable()
    fill(memory, 1)
    const sent = memory.bytes.slice(0, PIECE)
    await transfer(first, iova, BUFFER, TO_DEVICE)
    memory.bytes.fill(0)
    await transfer(first, BUFFER, iova, TO_MEMORY)
    await transfer(second, iova, BUFFER, TO_DEVICE)
    memory.bytes.fill(0)
    await transfer(second, BUFFER, iova, TO_MEMORY)
    assert.deepEqual(memory.bytes.subarray(0, PIECE), sent)
  })
  assert.deepEqual(world.faults(), [])
}

async function addsAndRemoves(world: AccessWorld): Promise<void> {
  const [one, other] = world.edu
  await withContext(world, [one], async (context) => {
    const memory = context.allocate(PAGE)
    const { iova } = context.map(memory, BELOW)
    await context.addGroup(other)
    await context.addGroup(other)
    const late = context.device(other)
    late.enable()
    fill(memory, 5)
    const sent = memory.bytes.slice(0, PIECE)
    await transfer(late, iova, BUFFER, TO_DEVICE)
    memory.bytes.fill(0)
    await transfer(late, BUFFER, iova, TO_MEMORY)
    assert.deepEqual(memory.bytes.subarray(0, PIECE), sent)
    const registers = late.bar(0)
    await context.removeGroup(other)
    assert.throws(() => registers.read32(0), DeviceRemovedError)
    assert.equal(context.groups.length, 1)
    const first = context.device(one)
    first.enable()
    await transfer(first, iova, BUFFER, TO_DEVICE)
    await refused(() => context.removeGroup(one), /is the last one of its context/)
    await withContext(world, [other], (own) =>
      Promise.resolve(assert.equal(own.mappings.length, 0)),
    )
  })
  assert.deepEqual(world.faults(), [])
}

async function givesAddresses(world: AccessWorld): Promise<void> {
  const below = 2 ** 24
  await withContext(
    world,
    [world.edu[0]],
    async (context) => {
      assert.equal(context.pageSize, PAGE)
      const large = context.map(context.allocate(2 ** 21))
      assert.equal(large.iova % 2 ** 21, 0)
      assert.ok(large.iova + large.size <= below)
      const high = context.map(context.allocate(PAGE), { below: Infinity, iova: 2 ** 32 })
      assert.equal(high.iova, 2 ** 32)
      await refused(() => context.map(context.allocate(PAGE), { iova: 0xfee0_0000 }), /is not free/)
      await refused(() => context.map(context.allocate(PAGE), { iova: 2 ** 32 }), /is not free/)
      await refused(() => context.map(context.allocate(PAGE), { iova: 12 }), /no multiple of 4096/)
      await refused(() => context.map(context.allocate(below)), /no 16777216 bytes of IOVA/)
      const inside = context.ranges.every(
        ({ start, end }) => start > 0xfeef_ffff || end < 0xfee0_0000,
      )
      assert.ok(inside, 'interrupts are no memory')
      const seen = new Set([large.iova, high.iova])
      for (let n = 0; n < 100; n++) seen.add(context.map(context.allocate(PAGE)).iova)
      assert.equal(seen.size, 102)
      assert.ok(!seen.has(0))
    },
    { below },
  )
}

async function mapsParts(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    const [first, second] = [context.allocate(4 * PAGE), context.allocate(PAGE)]
    fill(first, 1)
    fill(second, 2)
    const before = context.mappingsLeft
    const parts = [first.part(PAGE, PAGE), first.part(2 * PAGE, PAGE), second]
    const mapping = context.map(parts, BELOW)
    assert.equal(mapping.size, 3 * PAGE)
    // Two of them lie side by side in this process too.
    if (before !== null) assert.equal(context.mappingsLeft, before - 2)
    await transfer(device, mapping.iova + 2 * PAGE, BUFFER, TO_DEVICE)
    await transfer(device, BUFFER, mapping.iova, TO_MEMORY)
    assert.deepEqual(first.bytes.subarray(PAGE, PAGE + PIECE), second.bytes.subarray(0, PIECE))
    assert.throws(() => {
      first.release()
    }, /is mapped still/)
    context.unmap(mapping)
    context.unmap(mapping)
    assert.equal(context.mappingsLeft, before)
    first.release()
    assert.ok(first.bytes.every((byte) => byte === 0) || first.mapped === 0)
    await refused(() => first.part(4 * PAGE, 1), /are no part of/)
    await refused(() => context.map(second.part(0, 12)), /no multiple of 4096/)
  })
}

const ENTRY_LIMIT = '/sys/module/vfio_iommu_type1/parameters/dma_entry_limit'

async function limitOfMappings(world: AccessWorld): Promise<void> {
  const before = world.kernel.read(ENTRY_LIMIT)
  await world.kernel.write(ENTRY_LIMIT, encodeUtf8('8\n'), PATIENCE)
  try {
    await withContext(world, [world.edu[0]], async (context) => {
      assert.equal(context.mappingsLeft, 8)
      const memory = context.allocate(9 * PAGE)
      const mapped = Array.from({ length: 8 }, (_, n) => context.map(memory.part(n * PAGE, PAGE)))
      await refused(
        () => context.map(memory.part(8 * PAGE, PAGE)),
        /allows no more mappings \(0 left\)/,
      )
      for (const one of mapped) context.unmap(one)
      assert.equal(context.map(memory).size, 9 * PAGE)
    })
  } finally {
    await world.kernel.write(ENTRY_LIMIT, before, PATIENCE)
  }
}

async function silentRegisters(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    const bar = device.bar(0)
    assert.equal(bar.read32(REG.id), IDENTIFICATION)
    device.config.write16(COMMAND, 0)
    await refused(() => bar.read32(REG.id), /do not answer: memory space is switched off/)
    device.enable({ dma: false })
    assert.equal(bar.read32(REG.id), IDENTIFICATION)
    assert.equal(device.config.read16(COMMAND) & 6, 2)
    if (device.canSleep) {
      device.sleep()
      await refused(() => bar.read32(REG.id), /low-power state/)
      device.wake()
      assert.equal(bar.read32(REG.id), IDENTIFICATION)
    }
    await refused(() => bar.read32(2), /no place in a region/)
    await refused(() => bar.read32(bar.size), /no place in a region/)
    await refused(() => device.bar(3), /nothing behind base address register 3/)
  })
}

async function resets(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    assert.deepEqual(device.slot, [{ address: world.edu[0], group: context.groups[0] }])
    const bar = device.bar(0)
    bar.write32(REG.inverted, 1)
    if (!device.canReset) await refused(() => device.reset(), /has no reset of its function/)
    device.reset('slot')
    assert.equal(bar.read32(REG.id), IDENTIFICATION)
  })
}

async function interruptPin(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    const bar = device.bar(0)
    const interrupts = device.interrupts('intx')
    const vector = interrupts.vector(0)
    for (const bit of [1, 2]) {
      bar.write32(REG.raise, bit)
      while ((bar.read32(REG.irqs) & bit) === 0) await soon()
      // Taking it unmasks the pin: the device has to be quiet by then, or it comes again.
      bar.write32(ACKNOWLEDGE, bit)
      assert.equal(await vector.next(), 1)
    }
    assert.equal(vector.take(), 0)
    await refused(() => device.interrupts('intx', 2), /has 1 interrupts of kind intx/)
    await refused(() => interrupts.vector(1), /vector 1 of 1/)
  })
}

async function endsLoops(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    const interrupts = device.interrupts('msi')
    const seen: number[] = []
    const loop = (async () => {
      for await (const count of interrupts.vector(0)) seen.push(count)
    })()
    device.bar(0).write32(REG.raise, 8)
    while (seen.length === 0) await soon()
    device.bar(0).write32(ACKNOWLEDGE, 8)
    interrupts.close()
    await loop
    assert.deepEqual(seen, [1])
    await assert.rejects(interrupts.vector(0).next(), InterruptsClosedError)
    // The kind is free again.
    assert.equal(device.interrupts('msi').count, 1)
  })
}

async function removed(world: AccessWorld): Promise<void> {
  const [wanted, other] = world.edu
  const told: string[] = []
  const onRemovalRequest = async ({ address }: Device): Promise<void> => {
    told.push(address)
    await soon(50)
  }
  const body = async (context: Context): Promise<void> => {
    const [device, mate] = world.edu.map((address) => context.device(address)) as [Device, Device]
    for (const one of [device, mate]) one.enable()
    const memory = context.allocate(PAGE)
    const { iova } = context.map(memory, BELOW)
    const registers = device.bar(0)
    const waiting = device.interrupts('msi').vector(0).next()
    const lost = assert.rejects(waiting, DeviceRemovedError)
    const path = `/sys/bus/pci/devices/${wanted}/remove`
    await world.kernel.write(path, encodeUtf8('1\n'), PATIENCE)
    await Promise.all([lost, device.removed])
    assert.deepEqual(told, [wanted])
    assert.throws(() => registers.read32(0), DeviceRemovedError)
    assert.throws(() => device.config.read16(0), DeviceRemovedError)
    assert.throws(() => context.device(wanted), /there is no device/)
    // The others go on.
    await transfer(mate, iova, BUFFER, TO_DEVICE)
    context.map(context.allocate(PAGE))
  }
  await withContext(world, [wanted, other], body, { onRemovalRequest })
  await comeBack(world.kernel, wanted)
  await computes(world)
}

/** Its only device goes, and the group with it: nothing is mapped any more, and the context can be closed. */
async function removedAlone(world: AccessWorld): Promise<void> {
  const [wanted] = world.edu
  await withContext(world, [wanted], async (context) => {
    const device = context.device(wanted)
    device.enable()
    const memory = context.allocate(PAGE)
    const mapping = context.map(memory, BELOW)
    context.map(context.allocate(PAGE))
    const path = `/sys/bus/pci/devices/${wanted}/remove`
    await world.kernel.write(path, encodeUtf8('1\n'), PATIENCE)
    await device.removed
    context.unmap(mapping)
    memory.release()
  })
  await comeBack(world.kernel, wanted)
  await computes(world)
}

/** The host finds the device again, and it goes to its user as before. */
async function comeBack(kernel: Kernel, address: string): Promise<void> {
  const text = (path: string, line: string): Promise<void> =>
    kernel.write(path, encodeUtf8(`${line}\n`), PATIENCE)
  await text('/sys/bus/pci/rescan', '1')
  await text(`/sys/bus/pci/devices/${address}/driver_override`, 'vfio-pci')
  await text('/sys/bus/pci/drivers_probe', address)
}

async function refusals(world: AccessWorld): Promise<void> {
  const { kernel, edu } = world
  await withContext(world, [edu[0]], async (context) => {
    await refused(() => openContext({ kernel }, [edu[0]]), /is in use: it has one user at a time/)
    await refused(() => context.device(edu[1]), /which is not in the context/)
    await refused(() => context.device('ff:00.0'), /there is no device 0000:ff:00.0/)
    await refused(() => context.device('nonsense'), /is no address of a device/)
    await refused(() => context.allocate(0), /no number of bytes/)
    await refused(() => context.addGroup('4711'), /there is no .dev.vfio.4711/)
  })
  await refused(() => openContext({ kernel }, []), /a context needs a group/)
  const context = await openContext({ kernel }, [edu[0]])
  await context.close()
  await context.close()
  await refused(() => context.allocate(PAGE), /the context is closed/)
  await oneInUse(world)
}

/** A member goes back to nobody: the group has no VFIO node then. */
async function oneInUse({ kernel, edu }: AccessWorld): Promise<void> {
  const text = (path: string, line: string): Promise<void> =>
    kernel.write(path, encodeUtf8(`${line}\n`), PATIENCE)
  const group = groupOf(kernel, edu[1])
  await text('/sys/bus/pci/drivers/vfio-pci/unbind', edu[1])
  await refused(
    () => openContext({ kernel }, [edu[1]]),
    new RegExp(`no member of group ${group} is on a VFIO driver`),
  )
  await text('/sys/bus/pci/drivers_probe', edu[1])
}

async function leavesNothing(world: AccessWorld): Promise<void> {
  const open = (): number => world.kernel.list('/proc/self/fd').length
  const once = (): Promise<void> =>
    withContext(world, world.edu, async (context) => {
      const device = context.device(world.edu[0])
      device.enable()
      device.interrupts('msi')
      const memory = context.allocate(PAGE)
      for (let n = 0; n < 20; n++) context.unmap(context.map(memory))
      context.map(memory)
      await soon(0)
    })
  await once()
  const before = open()
  for (let n = 0; n < 10; n++) await once()
  assert.equal(open(), before)
  const locked = /^VmLck:\s+(\d+)/m.exec(world.kernel.text('/proc/self/status'))?.[1]
  assert.equal(locked, '0')
}

/** Run by a user who may lock 1 MiB. */
export async function limitOfMemory({ kernel, edu }: AccessWorld): Promise<void> {
  const context = await openContext({ kernel }, [edu[0]])
  try {
    const half = context.map(context.allocate(2 ** 19))
    const estimate = context.estimate(2 ** 20)
    assert.ok(estimate.known && !estimate.value.fits && estimate.value.locked === 2 ** 19)
    const more = context.allocate(2 ** 20)
    await refused(
      () => context.map(more),
      /may lock 1024 KiB, has locked 512 KiB, and wants 1024 KiB more/,
    )
    assert.equal(context.mappings.length, 1)
    context.unmap(half)
    assert.equal(context.map(more).size, 2 ** 20)
  } finally {
    await context.close()
  }
}
