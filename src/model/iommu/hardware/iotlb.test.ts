import { describe, expect, it } from 'vitest'
import { READ, WRITE } from '../domain.ts'
import { Iotlb } from './iotlb.ts'

describe('an IOTLB', () => {
  it('knows entries by domain and page, also where two share a place', () => {
    const cache = new Iotlb()
    cache.fill(1, 5, 77, READ)
    expect(cache.lookup(1, 5, READ)).toBe(77)
    expect(cache.lookup(1, 5, WRITE)).toBe(-1)
    expect(cache.lookup(1, 5 + 4096, READ)).toBe(-1)
    expect(cache.lookup(1 + 4096, 5, READ)).toBe(-1)
    expect(cache.lookup(1, 5 + 2 ** 32, READ)).toBe(-1)
    cache.invalidatePages(1 + 4096, 5, 1)
    cache.invalidatePages(1, 5 + 4096, 1)
    expect(cache.lookup(1, 5, READ)).toBe(77)
  })

  it('forgets a page, a range however long, a domain, or all', () => {
    const cache = new Iotlb()
    const forgetting = [
      () => cache.invalidatePages(1, 5, 1),
      () => cache.invalidatePages(1, 0, 2 ** 40),
      () => cache.invalidateDomain(1),
      () => cache.invalidateAll(),
    ]
    for (const forget of forgetting) {
      cache.fill(1, 5, 77, READ)
      cache.fill(2, 5, 88, READ)
      forget()
      expect(cache.lookup(1, 5, READ)).toBe(-1)
    }
    expect(cache.lookup(2, 5, READ)).toBe(-1)
    cache.fill(2, 5, 88, READ)
    cache.invalidateDomain(1)
    cache.invalidatePages(1, 0, 2 ** 40)
    expect(cache.lookup(2, 5, READ)).toBe(88)
  })
})
