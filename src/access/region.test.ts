/** Windows without a device behind them: what an access touches, and when it must not. The lab has the devices. */
import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import type { Memory } from '../kernel/kernel.ts'
import { DeviceRemovedError } from './device-removed-error.ts'
import { type Gate, Region, type RegionFile } from './region.ts'

const PAGE = 4096

/** Windows over the second and the fourth page of four. */
function aRegion(gate?: Gate) {
  const pages = new Uint8Array(4 * PAGE)
  const called: number[] = []
  const released: number[] = []
  const file: RegionFile = {
    address: '0000:01:00.0',
    map: (offset, length): Memory => ({
      address: 0,
      bytes: pages.subarray(offset, offset + length),
      release: () => released.push(offset),
    }),
    read: (offset, length) => {
      called.push(offset)
      return pages.slice(offset, offset + length)
    },
    write: (offset, bytes) => {
      called.push(offset)
      pages.set(bytes, offset)
      return bytes.length
    },
  }
  const mappable = [
    { offset: PAGE, size: PAGE },
    { offset: 3 * PAGE, size: PAGE },
  ]
  const info = { index: 0, size: 4 * PAGE, offset: 0, writable: true, readable: true, mappable }
  const region = new Region(file, info, gate === undefined ? {} : { gate })
  return { region, pages, called, released }
}

class AGate implements Gate {
  isOpen = true
  readonly #listeners: (() => void)[] = []

  whenShut(listener: () => void): void {
    this.#listeners.push(listener)
  }

  refusal(): IsogroupError {
    return new IsogroupError('refused', 'shut')
  }

  shut(): void {
    this.isOpen = false
    for (const listener of this.#listeners) listener()
  }
}

describe('a region with windows', () => {
  it('is loads and stores inside of them, and calls outside, whichever was touched last', () => {
    const { region, pages, called } = aRegion()
    const view = new DataView(pages.buffer)
    for (const offset of [PAGE, 0, 3 * PAGE, 2 * PAGE, 4 * PAGE - 8, 2 * PAGE - 4, PAGE - 4]) {
      region.write32(offset, 0x8765_4321)
      expect(view.getUint32(offset, true)).toBe(0x8765_4321)
      expect(region.read32(offset)).toBe(0x8765_4321)
      expect(region.read16(offset + 2)).toBe(0x8765)
      expect(region.read8(offset + 1)).toBe(0x43)
      region.write8(offset, 0xff)
      region.write16(offset + 2, 0x1234)
      expect(view.getUint32(offset, true)).toBe(0x1234_43ff)
      region.write64(offset, 0x0123_4567_89ab_cdefn)
      expect(region.read64(offset)).toBe(0x0123_4567_89ab_cdefn)
    }
    const outside = called.every((offset) => Math.floor(offset / PAGE) % 2 === 0)
    expect(outside).toBe(true)
    expect(called.length).toBeGreaterThan(0)
  })

  it.each([0.5, 1, 2, 3, -4, 4 * PAGE, 4 * PAGE - 2, NaN, 2 ** 32, PAGE + 0.5, PAGE - 1, Infinity])(
    'has no place of 32 bits at %d',
    (offset) => {
      const { region, pages, called } = aRegion()
      region.read32(PAGE)
      expect(() => region.read32(offset)).toThrow(RangeError)
      expect(() => {
        region.write32(offset, 1)
      }).toThrow(RangeError)
      expect(called).toEqual([])
      expect(pages.every((byte) => byte === 0)).toBe(true)
    },
  )

  it('is not touched while its gate is shut, though it was used just before', () => {
    const gate = new AGate()
    const { region, pages, called } = aRegion(gate)
    region.write32(PAGE, 1)
    gate.shut()
    expect(() => {
      region.write32(PAGE, 2)
    }).toThrow('shut')
    expect(() => region.read8(PAGE)).toThrow('shut')
    expect(() => region.read16(0)).toThrow('shut')
    expect(pages[PAGE]).toBe(1)
    gate.isOpen = true
    expect(region.read32(PAGE)).toBe(1)
    expect(called).toEqual([])
  })

  it('is gone for good when it is closed, and its windows are released once', () => {
    const { region, released } = aRegion()
    region.read32(PAGE)
    region.close()
    region.close()
    expect(released).toEqual([PAGE, 3 * PAGE])
    for (const access of [() => region.read8(PAGE), () => region.read16(0)]) {
      expect(access).toThrow(DeviceRemovedError)
    }
    expect(() => {
      region.write32(3 * PAGE, 1)
    }).toThrow(DeviceRemovedError)
    expect(region.mapped).toEqual([])
  })
})
