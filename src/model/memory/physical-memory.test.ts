import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { physicalMemory } from './physical-memory.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30

describe('physical memory', () => {
  it('hands out zeroed pages, and what was written stays until they are freed', () => {
    const memory = physicalMemory(16 * MIB)
    const page = memory.allocate(1)
    expect(memory.words(page).every((word) => word === 0)).toBe(true)
    memory.setWord(page, 1023, 0xdeadbeef)
    expect(memory.word(page, 1023)).toBe(0xdeadbeef)
    expect(memory.words(page)[1023]).toBe(0xdeadbeef)
    memory.free(page, 1)
    expect(memory.allocate(1)).toBe(page)
    expect(memory.word(page, 1023)).toBe(0)
  })

  it('never hands out page 0', () => {
    const memory = physicalMemory(2 * MIB)
    const pages = Array.from({ length: 511 }, () => memory.allocate(1))
    expect(Math.min(...pages)).toBe(1)
    expect(() => memory.allocate(1)).toThrow('ENOMEM')
  })

  it('uses again what was freed far below', () => {
    const memory = physicalMemory(6 * MIB)
    while (memory.usedPages < 1200) memory.allocate(1)
    memory.free(7, 1)
    memory.free(600, 3)
    expect(memory.allocate(3)).toBe(600)
    expect(memory.allocate(1)).toBe(7)
  })

  it('has its bytes and its words in one place, little-endian', () => {
    const memory = physicalMemory(16 * MIB)
    const page = memory.allocate(3)
    memory.bytes(page, 3).set([0x78, 0x56, 0x34, 0x12], 2 * 4096)
    expect(memory.word(page + 2, 0)).toBe(0x12345678)
  })

  it('gives an allocation of many chunks one array of bytes', () => {
    const memory = physicalMemory(64 * MIB)
    memory.allocate(1)
    const first = memory.allocate(3000)
    const bytes = memory.bytes(first, 3000)
    expect(bytes.length).toBe(3000 * 4096)
    bytes[2999 * 4096] = 7
    expect(memory.word(first + 2999, 0)).toBe(7)
    memory.free(first, 3000)
    expect(memory.word(first + 2999, 0)).toBe(0)
    expect(memory.usedPages).toBe(1)
  })

  it('aligns what has to be aligned', () => {
    const memory = physicalMemory(64 * MIB)
    memory.allocate(1)
    expect(memory.allocate(2, 64) % 64).toBe(0)
    expect(memory.allocate(512, 512) % 512).toBe(0)
    expect(memory.allocate(1, 4096) % 4096).toBe(0)
  })

  it('has a hole below 4 GiB and goes on above it', () => {
    const memory = physicalMemory(4 * GIB)
    expect(memory.totalPages).toBe(2 ** 20)
    expect(memory.ranges).toEqual([
      { firstPage: 0, pages: 0xc0000 },
      { firstPage: 0x100000, pages: 0x40000 },
    ])
    expect(memory.word(0xfee00, 0)).toBe(-1)
    expect(() => memory.words(0xfee00)).toThrow('EFAULT')
    expect(memory.word(0x13ffff, 0)).toBe(0)
    expect(memory.word(0x140000, 0)).toBe(-1)
    // A page number whose low 32 bits would be memory.
    expect(memory.word(2 ** 32 + 1, 0)).toBe(-1)
    expect(() => memory.setWord(2 ** 32 + 1, 0, 1)).toThrow('EFAULT')
  })

  it('refuses to free a page twice', () => {
    const memory = physicalMemory(16 * MIB)
    const page = memory.allocate(2)
    memory.free(page, 2)
    expect(() => memory.free(page + 1, 1)).toThrow('freed twice')
  })

  it('never hands out a page that is in use, and loses none', () => {
    const step = fc.record({
      free: fc.boolean(),
      pages: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 500, max: 1100 })),
      pick: fc.nat(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const memory = physicalMemory(12 * MIB)
        const held: { first: number; pages: number }[] = []
        const owned = new Set<number>()
        for (const { free, pages, pick } of steps) {
          const [gone] = free ? held.splice(pick % Math.max(1, held.length), 1) : []
          if (gone !== undefined) {
            memory.free(gone.first, gone.pages)
            for (let n = 0; n < gone.pages; n += 1) owned.delete(gone.first + n)
          }
          if (free) continue
          let first: number
          try {
            first = memory.allocate(pages)
          } catch {
            continue
          }
          held.push({ first, pages })
          for (let n = 0; n < pages; n += 1) {
            expect(owned.has(first + n)).toBe(false)
            owned.add(first + n)
          }
          const bytes = memory.bytes(first, pages)
          // Of each page, the first and the last byte.
          for (let at = 0; at < bytes.length; at += 4096) {
            expect((bytes[at] ?? 1) + (bytes[at + 4095] ?? 1)).toBe(0)
          }
          bytes.fill(0xff)
        }
        expect(memory.usedPages).toBe(owned.size)
        for (const { first, pages } of held) memory.free(first, pages)
        for (let n = 0; n < 5; n += 1) memory.allocate(512, 512)
      }),
      { numRuns: 40 },
    )
  })
})
