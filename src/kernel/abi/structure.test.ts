import { describe, expect, it } from 'vitest'
import { encodeStructure, type FieldType, type Structure } from './structure.ts'
import {
  DEVICE_FEATURE,
  DEVICE_INFO,
  DIRTY_BITMAP,
  DMA_MAP,
  DMA_UNMAP,
  GROUP_STATUS,
  HOT_RESET,
  HOT_RESET_INFO,
  IRQ_INFO,
  IRQ_SET,
  REGION_INFO,
  TYPE1_INFO,
} from './vfio.ts'

const WIDTH: Readonly<Record<FieldType, number>> = { u8: 1, u16: 2, u32: 4, s32: 4, u64: 8 }

describe('encodeStructure()', () => {
  it('puts each field at its place, little-endian, and zeroes the rest', () => {
    const bytes = encodeStructure(DMA_MAP, {
      argsz: 32,
      flags: 3,
      iova: 0x1234_5000,
      size: 2n ** 40n,
    })
    expect(Buffer.from(bytes).toString('hex')).toBe(
      '2000000003000000000000000000000000503412000000000000000000010000',
    )
  })

  it('takes negative descriptors, addresses of the upper half, and room for an array', () => {
    const structure: Structure<'fd' | 'byte' | 'word' | 'address'> = {
      bytes: 16,
      fields: { fd: [0, 's32'], byte: [4, 'u8'], word: [6, 'u16'], address: [8, 'u64'] },
    }
    const values = { fd: -1, byte: 0xab, word: 0x1234, address: 0xffff_8000_0000_0000n }
    expect(Buffer.from(encodeStructure(structure, values, 2)).toString('hex')).toBe(
      'ffffffffab003412000000000080ffff0000',
    )
  })
})

describe('the layouts of VFIO', () => {
  const layouts: Readonly<Record<string, readonly [Structure<string>, number]>> = {
    GROUP_STATUS: [GROUP_STATUS, 8],
    DEVICE_INFO: [DEVICE_INFO, 24],
    REGION_INFO: [REGION_INFO, 32],
    IRQ_INFO: [IRQ_INFO, 16],
    IRQ_SET: [IRQ_SET, 20],
    HOT_RESET_INFO: [HOT_RESET_INFO, 12],
    HOT_RESET: [HOT_RESET, 12],
    DEVICE_FEATURE: [DEVICE_FEATURE, 8],
    TYPE1_INFO: [TYPE1_INFO, 24],
    DMA_MAP: [DMA_MAP, 32],
    DMA_UNMAP: [DMA_UNMAP, 24],
    DIRTY_BITMAP: [DIRTY_BITMAP, 8],
  }

  it.each(Object.entries(layouts))('%s has the size that C gives it', (_name, [layout, size]) => {
    expect(layout.bytes).toBe(size)
  })

  it.each(Object.entries(layouts))('fields of %s are aligned and apart', (_name, [layout]) => {
    let end = 0
    for (const [offset, type] of Object.values(layout.fields)) {
      expect(offset % WIDTH[type]).toBe(0)
      expect(offset).toBeGreaterThanOrEqual(end)
      end = offset + WIDTH[type]
    }
    expect(end).toBeLessThanOrEqual(layout.bytes)
  })
})
