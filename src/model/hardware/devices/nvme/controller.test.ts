import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HardwareFunction } from '../../function.ts'
import { createFunction, deviceTemplate } from '../catalogue.ts'
import { drain, MemoryPort } from '../memory-port.case.ts'
import { enable, QueuePair } from './nvme-host.case.ts'

const DATA = 0x10000
const LIST = 0x3000

function controller(kind = 'nvme'): { nvme: HardwareFunction; port: MemoryPort; admin: QueuePair } {
  const template = deviceTemplate(kind)
  if (template === undefined) throw new Error(`no ${kind}`)
  const nvme = createFunction({ ...template, at: '0000:01:00.0', parent: null })
  const port = new MemoryPort()
  nvme.connect(port)
  return { nvme, port, admin: enable(nvme, port) }
}

/** I/O queue pair 1 with interrupts, in pages of its own. */
function ioQueue(
  { nvme, port, admin }: ReturnType<typeof controller>,
  { id = 1, entries = 4, vector = 0 } = {},
): QueuePair {
  const base = 0x30000 + id * 0x2000
  const sizes = id | ((entries - 1) << 16)
  const made = admin.run({ opcode: 5, prp1: base, dwords: [sizes, 3 | (vector << 16)] })
  expect(made.status).toBe(0)
  expect(
    admin.run({ opcode: 1, prp1: base + 0x1000, dwords: [sizes, 1 | (id << 16)] }).status,
  ).toBe(0)
  return new QueuePair(nvme, port, { id, completions: base, submissions: base + 0x1000, entries })
}

describe('an NVMe controller', () => {
  it('shows its version and gets ready', () => {
    const { nvme } = controller()
    expect(nvme.readBar(0, 0x08, 4)).toBe(0x00010400)
    expect(nvme.readBar(0, 0x1c, 4)).toBe(1)
    expect(nvme.readBar(0, 0x00, 4) & 0xffff).toBe(0x7ff)
  })

  it('reports a fatal error when it is enabled without admin queues', () => {
    const { nvme } = controller()
    nvme.reset('flr')
    nvme.writeBar(0, 0x14, 4, 1 | (6 << 16) | (4 << 20))
    expect(nvme.readBar(0, 0x1c, 4)).toBe(2)
  })

  it('identifies controller, namespace and list', () => {
    const { port, admin } = controller()
    expect(admin.run({ opcode: 6, prp1: DATA, dwords: [1] }).status).toBe(0)
    expect(port.view.getUint16(DATA, true)).toBe(0x1b36)
    expect(String.fromCharCode(...port.bytes.subarray(DATA + 4, DATA + 22))).toBe(
      'model-0000:01:00.0',
    )
    expect(admin.run({ opcode: 6, namespace: 1, prp1: DATA, dwords: [0] }).status).toBe(0)
    expect(port.view.getUint32(DATA, true)).toBe(32768)
    expect(port.bytes[DATA + 130]).toBe(9)
    expect(admin.run({ opcode: 6, prp1: DATA, dwords: [2] }).status).toBe(0)
    expect(port.view.getUint32(DATA, true)).toBe(1)
    expect(admin.run({ opcode: 6, namespace: 2, prp1: DATA, dwords: [0] }).status).toBe(0x0b)
    expect(admin.run({ opcode: 6, prp1: DATA, dwords: [0x77] }).status).toBe(0x02)
  })

  it('refuses what a driver must not ask', () => {
    const { admin } = controller()
    const status = (opcode: number, dwords: readonly number[], prp1 = DATA): number =>
      admin.run({ opcode, prp1, dwords }).status
    expect(status(0x77, [])).toBe(0x001)
    expect(status(1, [1 | (3 << 16), 1 | (1 << 16)])).toBe(0x100)
    expect(status(5, [0 | (3 << 16), 1])).toBe(0x101)
    expect(status(5, [65 | (3 << 16), 1])).toBe(0x101)
    expect(status(5, [1, 1])).toBe(0x102)
    expect(status(5, [1 | (0xfff << 16), 1])).toBe(0x102)
    expect(status(5, [1 | (3 << 16), 1], DATA + 8)).toBe(0x013)
    expect(status(5, [1 | (3 << 16), 0])).toBe(0x002)
    expect(status(5, [1 | (3 << 16), 3 | (1 << 16)])).toBe(0x108)
    expect(status(0, [3])).toBe(0x101)
    expect(status(2, [0x44])).toBe(0x109)
    expect(status(9, [0x55])).toBe(0x002)
    expect(status(9, [7, 0xffff])).toBe(0x002)
  })

  it('grants queues, keeps features, and refuses to change queue numbers in use', () => {
    const parts = controller()
    const { admin } = parts
    expect(admin.run({ opcode: 9, dwords: [7, 0x00010001] })).toMatchObject({
      status: 0,
      result: 63 | (63 << 16),
    })
    expect(admin.run({ opcode: 9, dwords: [4, 0x150] }).status).toBe(0)
    expect(admin.run({ opcode: 10, dwords: [4] }).result).toBe(0x150)
    ioQueue(parts)
    expect(admin.run({ opcode: 9, dwords: [7, 0] }).status).toBe(0x0c)
    // The completion queue is in use until its submission queue is gone.
    expect(admin.run({ opcode: 4, dwords: [1] }).status).toBe(0x10c)
    expect(admin.run({ opcode: 0, dwords: [1] }).status).toBe(0)
    expect(admin.run({ opcode: 4, dwords: [1] }).status).toBe(0)
  })

  it('gives a log page from an offset', () => {
    const { port, admin } = controller()
    port.bytes.fill(0xee, DATA, DATA + 512)
    expect(admin.run({ opcode: 2, prp1: DATA, dwords: [2 | (1 << 16), 0, 4] }).status).toBe(0)
    // Bytes 4-11 of the health log: the spare threshold first.
    expect([...port.bytes.subarray(DATA, DATA + 9)]).toEqual([10, 0, 0, 0, 0, 0, 0, 0, 0xee])
  })

  it('holds event requests until a wrong doorbell is rung, and limits and aborts them', () => {
    const { nvme, admin } = controller()
    for (let n = 0; n < 4; n++) {
      admin.push({ opcode: 12 })
      admin.ring()
      drain(nvme)
      expect(admin.take()).toBeUndefined()
    }
    expect(admin.run({ opcode: 12 }).status).toBe(0x105)
    nvme.writeBar(0, 0x1000 + 8 * 9, 4, 1)
    expect(admin.take()).toMatchObject({ status: 0, result: 0x010000, id: 1 })
    nvme.writeBar(0, 0x1004, 4, 200)
    expect(admin.take()).toMatchObject({ status: 0, result: 0x010100, id: 2 })
    const abort = admin.push({ opcode: 8, dwords: [3 << 16] })
    admin.ring()
    drain(nvme)
    expect(admin.take()).toMatchObject({ id: 3, status: 7 })
    expect(admin.take()).toMatchObject({ id: abort, status: 0, result: 0 })
    expect(admin.run({ opcode: 8, dwords: [99 << 16] }).result).toBe(1)
  })

  it('reads back what was written, wherever the pages lie', () => {
    const parts = controller()
    const { port } = parts
    const io = ioQueue(parts)
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 0, max: 1023 }).map((n) => 4 * n),
        fc.integer({ min: 0, max: 32768 - 64 }),
        fc.shuffledSubarray(
          Array.from({ length: 24 }, (_, n) => 0x10 + n),
          { minLength: 24 },
        ),
        (blocks, offset, block, pages) => {
          const { prp1, prp2, regions } = scatter(port, blocks * 512, offset, pages)
          regions.forEach(({ at, size }, n) => port.bytes.fill(n + 1, at, at + size))
          const dwords = [block, 0, blocks - 1]
          expect(io.run({ opcode: 1, namespace: 1, prp1, prp2, dwords }).status).toBe(0)
          regions.forEach(({ at, size }) => port.bytes.fill(0, at, at + size))
          expect(io.run({ opcode: 2, namespace: 1, prp1, prp2, dwords }).status).toBe(0)
          regions.forEach(({ at, size }, n) => {
            expect(port.bytes.subarray(at, at + size).every((byte) => byte === n + 1)).toBe(true)
          })
        },
      ),
      { numRuns: 60 },
    )
  })

  it('follows a list of pages into the next list', () => {
    const parts = controller()
    const { port } = parts
    const io = ioQueue(parts)
    // Five pages: one, then four by a list whose first page has room for two entries only.
    const entries = [0x20000, 0x4008, 0x21000, 0x22000, 0x23000]
    const { view } = port
    view.setUint32(0x3ff0, entries[0] ?? 0, true)
    view.setUint32(0x3ff8, entries[1] ?? 0, true)
    entries.slice(2).forEach((page, n) => {
      view.setUint32(0x4008 + 8 * n, page, true)
    })
    for (const [n, at] of [DATA, 0x20000, 0x21000, 0x22000, 0x23000].entries())
      port.bytes[at] = n + 1
    const command = { namespace: 1, prp1: DATA, prp2: 0x3ff0, dwords: [8, 0, 39] }
    expect(io.run({ opcode: 1, ...command }).status).toBe(0)
    for (const page of [0x20000, 0x21000, 0x22000, 0x23000]) port.bytes[page] = 0
    expect(io.run({ opcode: 2, ...command }).status).toBe(0)
    expect([0x20000, 0x21000, 0x22000, 0x23000].map((at) => port.bytes[at])).toEqual([2, 3, 4, 5])
  })

  it('fails commands whose data is out of reach, outside, or asked for wrongly', () => {
    const parts = controller()
    const { port } = parts
    const io = ioQueue(parts)
    const status = (fields: object): number =>
      io.run({ opcode: 2, namespace: 1, prp1: DATA, dwords: [0, 0, 0], ...fields }).status
    expect(status({})).toBe(0)
    expect(status({ opcode: 0x55 })).toBe(0x001)
    expect(status({ namespace: 2 })).toBe(0x00b)
    expect(status({ opcode: 0, namespace: 0xffffffff })).toBe(0)
    expect(status({ dwords: [32768, 0, 0] })).toBe(0x080)
    expect(status({ dwords: [32760, 0, 8] })).toBe(0x080)
    expect(status({ dwords: [0, 1, 0] })).toBe(0x080)
    expect(status({ dwords: [0, 0, 1024] })).toBe(0x002)
    expect(status({ prp1: DATA + 1 })).toBe(0x013)
    expect(status({ prp2: 0x11004, dwords: [0, 0, 15] })).toBe(0x013)
    port.refused.add(0x10)
    expect(status({})).toBe(0x004)
    expect(status({ opcode: 1 })).toBe(0x004)
  })

  it('stops with a fatal error when a queue itself is out of reach', () => {
    const parts = controller()
    const { nvme, port } = parts
    const io = ioQueue(parts)
    port.refused.add(0x33)
    io.push({ opcode: 0, namespace: 1 })
    io.ring()
    drain(nvme)
    expect(nvme.readBar(0, 0x1c, 4)).toBe(3)
    expect(nvme.busy).toBe(false)
  })

  it('waits for room in the completion queue', () => {
    const parts = controller()
    const { nvme } = parts
    const io = ioQueue(parts)
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < 3; n++) io.push({ opcode: 0, namespace: 1 })
      io.ring()
      expect(drain(nvme)).toBe(3)
      io.push({ opcode: 0, namespace: 1 })
      io.ring()
      expect(drain(nvme)).toBe(0)
      expect([io.take(), io.take(), io.take()].every((entry) => entry?.status === 0)).toBe(true)
      expect(io.take()).toBeUndefined()
      expect(drain(nvme)).toBe(1)
      expect(io.take()?.status).toBe(0)
    }
  })

  it('serves several queues in turn, each with its own vector', () => {
    const parts = controller()
    const { nvme, port } = parts
    const msix = nvme.config.capability(0x11)
    nvme.config.write(msix + 2, 2, 0x8000)
    for (const vector of [0, 1, 2]) nvme.writeBar(0, 0x2000 + 16 * vector + 12, 4, 0)
    const first = ioQueue(parts, { id: 1, vector: 1 })
    const second = ioQueue(parts, { id: 2, vector: 2 })
    port.messages.length = 0
    for (const queue of [first, second, first, second]) {
      queue.push({ opcode: 0, namespace: 1 })
    }
    first.ring()
    second.ring()
    drain(nvme)
    expect(port.messages).toEqual([1, 2, 1, 2])
  })

  it('keeps the message of a masked vector until it is unmasked', () => {
    const parts = controller()
    const { nvme, port, admin } = parts
    nvme.config.write(nvme.config.capability(0x11) + 2, 2, 0x8000)
    admin.run({ opcode: 10, dwords: [4] })
    expect(port.messages).toEqual([])
    expect(nvme.readBar(0, 0x3000, 4)).toBe(1)
    nvme.writeBar(0, 0x200c, 4, 0)
    expect(port.messages).toEqual([0])
    expect(nvme.readBar(0, 0x3000, 4)).toBe(0)
  })

  it('holds its pin while completions wait, unless masked', () => {
    const { nvme, port, admin } = controller()
    admin.push({ opcode: 10, dwords: [4] })
    admin.ring()
    drain(nvme)
    expect(port.level).toBe(true)
    nvme.writeBar(0, 0x0c, 4, 1)
    expect(port.level).toBe(false)
    nvme.writeBar(0, 0x10, 4, 1)
    expect(port.level).toBe(true)
    admin.take()
    expect(port.level).toBe(false)
  })

  it('drops its queues but not its data at a reset', () => {
    const parts = controller()
    const { nvme, port } = parts
    const io = ioQueue(parts)
    port.bytes[DATA] = 0x5a
    io.run({ opcode: 1, namespace: 1, prp1: DATA, dwords: [3, 0, 0] })
    io.push({ opcode: 1, namespace: 1, prp1: DATA, dwords: [3, 0, 0] })
    io.ring()
    nvme.reset('flr')
    expect(nvme.busy).toBe(false)
    expect(nvme.readBar(0, 0x1c, 4)).toBe(0)
    port.bytes.fill(0)
    const again = ioQueue({ nvme, port, admin: enable(nvme, port) })
    again.run({ opcode: 2, namespace: 1, prp1: DATA, dwords: [3, 0, 0] })
    expect(port.bytes[DATA]).toBe(0x5a)
  })

  it('has virtual functions: controllers of their own over the same blocks', () => {
    const { nvme, port, admin } = controller('nvme-sriov')
    const virtual = nvme.virtualFunction?.(1)
    if (virtual === undefined) throw new Error('no virtual function')
    expect(virtual).toBe(nvme.virtualFunction?.(1))
    expect(virtual.config.read(0, 4)).toBe(0xffffffff)
    expect(virtual.config.extendedCapability(0x10)).toBe(0)
    expect(virtual.config.extendedCapability(0x0e)).toBe(0x100)
    expect(virtual.bars).toEqual([{ index: 0, size: 0x4000, kind: 'mem64', prefetchable: false }])
    const io = ioQueue({ nvme, port, admin })
    port.bytes[DATA] = 0x77
    io.run({ opcode: 1, namespace: 1, prp1: DATA, dwords: [9, 0, 0] })
    const own = new MemoryPort()
    virtual.connect(own)
    const virtualIo = ioQueue({ nvme: virtual, port: own, admin: enable(virtual, own) })
    virtualIo.run({ opcode: 2, namespace: 1, prp1: DATA, dwords: [9, 0, 0] })
    expect(own.bytes[DATA]).toBe(0x77)
    nvme.config.reset('flr')
    expect(virtual.readBar(0, 0x1c, 4)).toBe(0)
  })
})

describe('a virtual function', () => {
  it.each([
    [undefined, 15],
    [1, 0],
  ])('has as many MSI-X vectors as described (%s)', (virtualVectors, last) => {
    const template = deviceTemplate('nvme-sriov')
    if (template === undefined) throw new Error('no nvme-sriov')
    const more = virtualVectors === undefined ? {} : { virtualVectors }
    const nvme = createFunction({ ...template, ...more, at: '0000:01:00.0', parent: null })
    const config = nvme.virtualFunction?.(0).config
    expect((config?.read(config.capability(0x11) + 2, 2) ?? 0) & 0x7ff).toBe(last)
    expect(nvme.config.read(nvme.config.capability(0x11) + 2, 2) & 0x7ff).toBe(15)
  })
})

/** Spreads a buffer over pages in the given order, with a list where one is needed. */
function scatter(
  port: MemoryPort,
  length: number,
  offset: number,
  pages: readonly number[],
): { prp1: number; prp2: number; regions: { at: number; size: number }[] } {
  const regions: { at: number; size: number }[] = []
  for (let left = length, n = 0; left > 0; n++) {
    const start = n === 0 ? offset : 0
    const size = Math.min(left, 4096 - start)
    regions.push({ at: (pages[n] ?? 0) * 4096 + start, size })
    left -= size
  }
  regions.slice(1).forEach(({ at }, n) => {
    port.view.setUint32(LIST + 8 * n, at, true)
  })
  const prp2 = regions.length === 2 ? (regions[1]?.at ?? 0) : LIST
  return { prp1: regions[0]?.at ?? 0, prp2, regions }
}
