import { describe, expect, it } from 'vitest'
import { pciDevice } from '../iommu/tables/machine.case.ts'
import { forEachDmaAlias, requesterIds } from './dma-alias-walk.ts'

const rootPort = (at: string, device = 0x10d3): ReturnType<typeof pciDevice> =>
  pciDevice(at, { pcieType: 4, headerType: 1, device })

describe('requester ids of a device', () => {
  it('are its own alone below PCI Express ports', () => {
    const switchUp = pciDevice('0000:01:00.0', { below: rootPort('0000:00:01.0'), pcieType: 5 })
    const switchDown = pciDevice('0000:02:03.0', { below: switchUp, pcieType: 6 })
    expect(requesterIds(pciDevice('0000:03:00.1', { below: switchDown }))).toEqual([0x301])
  })

  it('include device 0 of the bus behind a PCIe-to-PCI bridge', () => {
    const bridge = pciDevice('0000:07:00.0', { below: rootPort('0000:00:04.0'), pcieType: 7 })
    const device = pciDevice('0000:08:02.0', { below: bridge, pcieType: null })
    expect(requesterIds(device)).toEqual([0x810, 0x800])
  })

  it('include the id of a conventional bridge, and of each one above it', () => {
    const outer = pciDevice('0000:00:1e.0', { pcieType: null, headerType: 1 })
    const inner = pciDevice('0000:01:04.0', { below: outer, pcieType: null, headerType: 1 })
    const device = pciDevice('0000:02:05.0', { below: inner, pcieType: null })
    expect(requesterIds(device)).toEqual([0x228, 0x120, 0x0f0])
  })

  it('include the own id of a PCI-to-PCIe bridge', () => {
    const bridge = pciDevice('0000:00:05.0', { pcieType: 8, headerType: 1 })
    expect(requesterIds(pciDevice('0000:01:00.0', { below: bridge }))).toEqual([0x100, 0x028])
  })

  it('take a bridge without a PCI Express capability for a PCIe-to-PCI bridge when it must be one', () => {
    const hidden = { vendor: 0x1b21, device: 0x1080, pcieType: null, headerType: 1 } as const
    const below = pciDevice('0000:05:00.0', { ...hidden, below: rootPort('0000:00:03.0') })
    expect(requesterIds(pciDevice('0000:06:01.0', { below, pcieType: null }))).toEqual([
      0x608, 0x600,
    ])
    const onRoot = pciDevice('0000:00:06.0', hidden)
    expect(requesterIds(pciDevice('0000:09:01.0', { below: onRoot, pcieType: null }))).toEqual([
      0x908, 0x030,
    ])
  })

  it('include quirk aliases on the own bus, in order', () => {
    const device = pciDevice('0000:01:00.0', { below: rootPort('0000:00:01.0') })
    device.dmaAliases.add(9).add(1)
    expect(requesterIds(device)).toEqual([0x100, 0x101, 0x109])
  })

  it('are those of the endpoint that does the DMA (Intel VMD)', () => {
    const host = pciDevice('0000:00:0e.0')
    const device = pciDevice('0000:e1:00.0', { below: rootPort('0000:e0:00.0') })
    device.realDmaDevice = host
    expect(requesterIds(device)).toEqual([0x070])
  })

  it('end at a bridge where translation happens', () => {
    const outer = pciDevice('0000:00:07.0', { pcieType: null, headerType: 1 })
    const root = { vendor: 0x14e4, device: 0x9084, pcieType: 8, headerType: 1 } as const
    const stop = pciDevice('0000:01:00.0', { ...root, below: outer })
    expect(requesterIds(pciDevice('0000:02:00.0', { below: stop }))).toEqual([0x200])
  })

  it('are visited until a visitor says stop', () => {
    const bridge = pciDevice('0000:00:1e.0', { pcieType: null, headerType: 1 })
    const device = pciDevice('0000:01:04.0', { below: bridge, pcieType: null })
    const seen: [string, number][] = []
    const stopped = forEachDmaAlias(device, (owner, id) => {
      seen.push([owner.name, id])
      return id === 0x0f0
    })
    expect(stopped).toBe(true)
    expect(seen).toEqual([
      ['0000:01:04.0', 0x120],
      ['0000:00:1e.0', 0x0f0],
    ])
    expect(forEachDmaAlias(device, () => undefined)).toBe(false)
  })
})
