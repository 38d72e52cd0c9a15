/** Memory that devices reach, and memory that they do not. */
import assert from 'node:assert/strict'
import { encodeUtf8 } from '../../base/utf8.ts'
import type { Device } from '../device.ts'
import { DeviceRemovedError } from '../device-removed-error.ts'
import { openContext } from '../open-context.ts'
import {
  type AccessWorld,
  BELOW,
  BUFFER,
  fill,
  PAGE,
  PATIENCE,
  PIECE,
  refused,
  soon,
  TO_DEVICE,
  TO_MEMORY,
  transfer,
  withContext,
} from './world.case.ts'

export async function movesMemory(world: AccessWorld): Promise<void> {
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

export async function reachesNothing(world: AccessWorld): Promise<void> {
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

export async function onlyReads(world: AccessWorld): Promise<void> {
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

export async function merges(world: AccessWorld): Promise<void> {
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

export async function addsAndRemoves(world: AccessWorld): Promise<void> {
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
    await withContext(world, [other], (own) => {
      assert.equal(own.mappings.length, 0)
      return Promise.resolve()
    })
  })
  assert.deepEqual(world.faults(), [])
}

export async function givesAddresses(world: AccessWorld): Promise<void> {
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

export async function mapsParts(world: AccessWorld): Promise<void> {
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
    await refused(() => context.map(first), /has been released/)
    await refused(() => first.part(4 * PAGE, 1), /are no part of/)
    await refused(() => context.map(second.part(0, 12)), /no multiple of 4096/)
  })
}

const ENTRY_LIMIT = '/sys/module/vfio_iommu_type1/parameters/dma_entry_limit'

export async function limitOfMappings(world: AccessWorld): Promise<void> {
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
