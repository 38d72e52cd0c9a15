import { describe, expect, it } from 'vitest'
import { withKnownNames } from './known-names.ts'

describe('withKnownNames()', () => {
  const names = withKnownNames(null)

  it('knows the ports and cards of the kernel tables by name', () => {
    expect(names.resolve('Intel Corporation Sunrise Point-LP PCI Express Root Port #1')).toEqual({
      vendor: 0x8086,
      device: 0x9d10,
    })
    expect(names.resolve('Intel Corporation I350 Gigabit Network Connection')).toEqual({
      vendor: 0x8086,
      device: 0x1521,
    })
  })

  it('is sure of the vendor alone for other devices, and of nothing for other vendors', () => {
    expect(names.resolve('Intel Corporation Wireless 8265')).toEqual({
      vendor: 0x8086,
      device: null,
    })
    expect(names.resolve('Intel Corporationist')).toBeNull()
    expect(names.resolve('Nobody Inc. Thing')).toBeNull()
  })

  it('asks the given index first', () => {
    const index = { resolve: () => ({ vendor: 1, device: 2 }), classCode: () => 3 }
    expect(withKnownNames(index).resolve('Intel Corporation X')).toEqual({ vendor: 1, device: 2 })
    expect(withKnownNames(index).classCode('IOMMU')).toBe(3)
  })
})
