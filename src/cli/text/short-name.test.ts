import { describe, expect, it } from 'vitest'
import { shortName } from './short-name.ts'

describe('shortName', () => {
  const names: readonly (readonly [string, string])[] = [
    ['Intel Corporation I211 Gigabit Network Connection', 'Intel I211 Gigabit Network Connection'],
    ['Advanced Micro Devices, Inc. [AMD] Matisse Switch', 'AMD Matisse Switch'],
    ['Advanced Micro Devices, Inc. [AMD/ATI] Lucienne', 'AMD/ATI Lucienne'],
    ['NVIDIA Corporation GP104 [GeForce GTX 1080]', 'NVIDIA GP104 [GeForce GTX 1080]'],
    ['Samsung Electronics Co Ltd NVMe SSD Controller', 'Samsung NVMe SSD Controller'],
    ['Realtek Semiconductor Co., Ltd. RTS525A Reader', 'Realtek RTS525A Reader'],
    ['ASPEED Technology, Inc. AST1150 PCI-to-PCI Bridge', 'ASPEED AST1150 PCI-to-PCI Bridge'],
    [
      'Marvell Technology Group Ltd. 88W8897 [AVASTAR] Wireless',
      'Marvell Technology 88W8897 [AVASTAR] Wireless',
    ],
    ['SK hynix PC401 NVMe Solid State Drive 256GB', 'SK hynix PC401 NVMe Solid State Drive 256GB'],
    ['Red Hat, Inc. Virtio 1.0 block device', 'Red Hat Virtio 1.0 block device'],
    ['', ''],
  ]
  for (const [name, short] of names) {
    it(`makes "${short}" of "${name}"`, () => {
      expect(shortName(name)).toBe(short)
    })
  }
})
