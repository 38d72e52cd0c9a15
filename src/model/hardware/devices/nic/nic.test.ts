import { describe, expect, it } from 'vitest'
import type { HardwareFunction } from '../../function.ts'
import { createFunction, deviceTemplate } from '../catalogue.ts'
import { drain, MemoryPort } from '../memory-port.case.ts'
import { Cabling } from './cabling.ts'

const TX = 0x3800
const RX = 0x2800
const RING = 0x1000
const BUFFER = 0x8000
const RCTL_ON = 2 | (1 << 15)

interface Plugged {
  readonly nic: HardwareFunction
  readonly port: MemoryPort
}

function plug(at: string, cabling: Cabling, kind = 'nic'): Plugged {
  const template = deviceTemplate(kind)
  if (template === undefined) throw new Error('no nic')
  return connect(createFunction({ ...template, at, parent: null }, cabling))
}

function connect(nic: HardwareFunction): Plugged {
  const port = new MemoryPort()
  nic.connect(port)
  return { nic, port }
}

/** Two functions of one card. */
function pair(): readonly [Plugged, Plugged] {
  const cabling = new Cabling()
  return [plug('0000:09:00.0', cabling), plug('0000:09:00.1', cabling)]
}

function ring({ nic }: Plugged, block: number, tail: number): void {
  nic.writeBar(0, block, 4, RING)
  nic.writeBar(0, block + 4, 4, 0)
  nic.writeBar(0, block + 8, 4, 8 * 16)
  nic.writeBar(0, block + 0x18, 4, tail)
}

function listen(on: Plugged, rctl: number = RCTL_ON, buffers = 7): void {
  for (let n = 0; n < 8; n++) on.port.view.setUint32(RING + 16 * n, BUFFER + 2048 * n, true)
  ring(on, RX, buffers)
  on.nic.writeBar(0, 0x100, 4, rctl)
}

/** Queues one frame, in pieces of the given lengths, and lets the function work. */
function send(from: Plugged, frame: readonly number[], cuts: readonly number[] = []): void {
  const { nic, port } = from
  const tail = nic.readBar(0, TX + 0x18, 4)
  const ends = [...cuts, frame.length]
  ends.forEach((end, n) => {
    const start = ends[n - 1] ?? 0
    const slot = (tail + n) % 8
    port.bytes.set(frame.slice(start, end), BUFFER + 256 * n)
    port.view.setUint32(RING + 16 * slot, BUFFER + 256 * n, true)
    port.view.setUint32(RING + 16 * slot + 4, 0, true)
    const command = end === frame.length ? 0x09 : 0x08
    port.view.setUint32(RING + 16 * slot + 8, (end - start) | (command << 24), true)
    port.view.setUint32(RING + 16 * slot + 12, 0, true)
  })
  ring(from, TX, (tail + ends.length) % 8)
  nic.writeBar(0, 0x400, 4, 2)
  drain(nic)
}

function broadcast(payload: number): number[] {
  return [...Array<number>(6).fill(0xff), ...Array.from({ length: 54 }, (_, n) => n + payload)]
}

describe('a network function', () => {
  it('carries a frame from one function of a card to the other, by both sets of rings', () => {
    const [a, b] = pair()
    listen(b)
    const frame = broadcast(1)
    send(a, frame, [10, 20])
    expect([...b.port.bytes.subarray(BUFFER, BUFFER + 60)]).toEqual(frame)
    expect(b.port.view.getUint16(RING + 8, true)).toBe(60)
    expect(b.port.bytes[RING + 12]).toBe(3)
    expect(b.nic.readBar(0, RX + 0x10, 4)).toBe(1)
    expect([0, 1, 2].map((n) => a.port.bytes[RING + 16 * n + 12])).toEqual([1, 1, 1])
    expect(a.nic.readBar(0, 0x4080, 4)).toBe(1)
    expect(b.nic.readBar(0, 0x4074, 4)).toBe(1)
  })

  it('takes frames to itself and to all, and others only when told to', () => {
    const [a, b] = pair()
    listen(b, 2)
    const to = (address: readonly number[]): number => {
      const before = b.nic.readBar(0, 0x4074, 4)
      send(a, [...address, ...Array<number>(54).fill(0)])
      return b.nic.readBar(0, 0x4074, 4) - before
    }
    expect(to([0x52, 0x54, 0, 9, 1, 0])).toBe(1)
    expect(to([0x52, 0x54, 0, 9, 1, 1])).toBe(0)
    expect(to([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])).toBe(0)
    b.nic.writeBar(0, 0x100, 4, 2 | 8)
    expect(to([0x52, 0x54, 0, 9, 1, 1])).toBe(1)
    expect(to([0x01, 0, 0, 0, 0, 0])).toBe(0)
    b.nic.writeBar(0, 0x100, 4, 2 | 16)
    expect(to([0x01, 0, 0, 0, 0, 0])).toBe(1)
  })

  it('tells its address by EEPROM and registers', () => {
    const [, b] = pair()
    b.nic.writeBar(0, 0x14, 4, 1 | (2 << 2))
    expect(b.nic.readBar(0, 0x14, 4)).toBe(0x0001000a)
    expect(b.nic.readBar(0, 0x5404, 4)).toBe(0x80000001)
    expect(b.nic.readBar(0, 0x5400, 2)).toBe(0x5452)
    expect(b.nic.readBar(0, 0x5403, 1)).toBe(9)
  })

  it('misses frames when no descriptor is free, and takes them again when one is', () => {
    const [a, b] = pair()
    listen(b, RCTL_ON, 1)
    send(a, broadcast(1))
    send(a, broadcast(2))
    expect(b.nic.readBar(0, 0x4010, 4)).toBe(1)
    b.nic.writeBar(0, RX + 0x18, 4, 3)
    send(a, broadcast(3))
    expect(b.port.bytes[BUFFER + 2048 + 6]).toBe(3)
  })

  it('interrupts by the pin, by MSI and by the vectors of IVAR', () => {
    const [a, b] = pair()
    listen(b)
    b.nic.writeBar(0, 0xd0, 4, (1 << 7) | (1 << 20))
    send(a, broadcast(1))
    expect(b.port.level).toBe(true)
    expect(b.nic.readBar(0, 0xc0, 4)).toBe((1 << 7) | (1 << 20))
    expect(b.port.level).toBe(false)
    b.nic.config.write(b.nic.config.capability(5) + 2, 2, 1)
    send(a, broadcast(1))
    expect(b.port.messages).toEqual([0])
    b.nic.config.write(b.nic.config.capability(0x11) + 2, 2, 0x8000)
    b.nic.writeBar(3, 0x3c, 4, 0)
    b.nic.writeBar(0, 0xe4, 4, 0xb)
    send(a, broadcast(1))
    expect(b.port.messages).toEqual([0, 3])
    b.nic.writeBar(0, 0xd8, 4, 0xffffffff)
    send(a, broadcast(1))
    expect(b.port.messages).toEqual([0, 3])
  })

  it('hears itself in loopback mode and then sends nothing', () => {
    const [a, b] = pair()
    listen(b)
    for (let n = 0; n < 8; n++) a.port.view.setUint32(0x3000 + 16 * n, 0x20000, true)
    a.nic.writeBar(0, RX, 4, 0x3000)
    a.nic.writeBar(0, RX + 8, 4, 128)
    a.nic.writeBar(0, RX + 0x18, 4, 4)
    a.nic.writeBar(0, 0x100, 4, RCTL_ON | 0x40)
    send(a, broadcast(5))
    expect(a.port.bytes[0x20006]).toBe(5)
    expect(b.nic.readBar(0, 0x4074, 4)).toBe(0)
  })

  it('drops what the IOMMU refuses and stops a queue whose ring is out of reach', () => {
    const [a, b] = pair()
    listen(b)
    b.port.refused.add(BUFFER >> 12)
    send(a, broadcast(1))
    expect(b.nic.readBar(0, RX + 0x10, 4)).toBe(0)
    expect(b.nic.readBar(0, 0x4074, 4)).toBe(0)
    a.port.refused.add(RING >> 12)
    send(a, broadcast(1))
    expect(a.nic.readBar(0, 0x400, 4)).toBe(0)
    expect(a.nic.busy).toBe(false)
  })

  it('is deaf and idle after a reset', () => {
    const [a, b] = pair()
    listen(b)
    b.nic.reset('flr')
    send(a, broadcast(1))
    expect(b.port.bytes[BUFFER + 6]).toBe(0)
    expect(b.nic.readBar(0, RX, 4)).toBe(0)
  })

  it('reaches the virtual functions of its card', () => {
    const pf = plug('0000:0a:00.0', new Cabling(), 'sriov-nic')
    const virtual = pf.nic.virtualFunction?.(2)
    if (virtual === undefined) throw new Error('no virtual function')
    const vf = connect(virtual)
    listen(vf)
    send(pf, [0x52, 0x54, 0, 0x0a, 0, 3, ...Array<number>(54).fill(1)])
    expect(vf.nic.readBar(0, 0x4074, 4)).toBe(1)
    expect(vf.nic.bars.map(({ index }) => index)).toEqual([0, 3])
  })
})
