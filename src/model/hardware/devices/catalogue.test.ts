import { describe, expect, it } from 'vitest'
import { fromHex } from '../../../base/hex-bytes.ts'
import { decodeConfig } from '../../../pci/config-decode.ts'
import type { ConfigFacts } from '../../../pci/config-facts.ts'
import { createFunction, deviceKinds, deviceKindTexts, deviceTemplate } from './catalogue.ts'
import { MemoryPort } from './memory-port.case.ts'

function facts(kind: string): ConfigFacts {
  const config = fromHex(deviceTemplate(kind)?.config ?? '')
  return decodeConfig(config, true)
}

function value(kind: string, of: keyof ConfigFacts): unknown {
  const fact = facts(kind)[of]
  return typeof fact === 'object' && 'known' in fact && fact.known ? fact.value : undefined
}

describe('the catalogue', () => {
  it.each([...deviceKinds()])('has a sound description of %s', (kind) => {
    const template = deviceTemplate(kind)
    expect(facts(kind).damage).toEqual([])
    expect([512, 8192]).toContain(template?.config.length)
    const fn = createFunction({ ...(template ?? fail()), at: '0000:01:00.0', parent: null })
    expect(fn.busy).toBe(false)
    for (const bar of fn.bars) {
      if (bar.index === 6) continue
      // Sizing: all ones written, the size comes back.
      fn.config.write(0x10 + 4 * bar.index, 4, 0xffffffff)
      const mask = bar.kind === 'io' ? ~3 : ~0xf
      const low = fn.config.read(0x10 + 4 * bar.index, 4) & mask
      expect(-low >>> 0).toBe(bar.size)
      expect(fn.readBar(bar.index, 0, 4)).toBeTypeOf('number')
    }
    const virtual = fn.config.extendedCapability(0x10) !== 0
    expect(fn.virtualFunction !== undefined).toBe(virtual)
  })

  it('gives every function registers of its own', () => {
    const description = { ...(deviceTemplate('nic') ?? fail()), at: '0000:01:00.0', parent: null }
    const [one, other] = [createFunction(description), createFunction(description)]
    one.config.write(0x04, 2, 0x4)
    expect(one.config.read(0x04, 2)).toBe(0x4)
    expect(other.config.read(0x04, 2)).toBe(0)
    expect(createFunction(description).config.read(0x04, 2)).toBe(0)
  })

  it('knows nothing of other kinds, and has a line for each of its own', () => {
    expect(deviceTemplate('toaster')).toBeUndefined()
    expect(deviceTemplate('constructor')).toBeUndefined()
    expect(deviceKindTexts().map(({ name }) => name)).toEqual(deviceKinds())
    expect(new Set(deviceKindTexts().map(({ text }) => text)).size).toBe(deviceKinds().length)
  })

  it('gives ports and endpoints the types that grouping looks at', () => {
    const types = ['root-port', 'upstream-port', 'downstream-port', 'pcie-pci-bridge', 'nic', 'gpu']
    expect(types.map((kind) => value(kind, 'pcie'))).toEqual(
      [4, 5, 6, 7, 0, 1].map((type) => ({ type })),
    )
    expect(value('integrated-endpoint', 'pcie')).toEqual({ type: 9 })
    for (const kind of ['pci-bridge', 'pci-nic', 'edu', 'sata', 'audio']) {
      expect(value(kind, 'pcie')).toBeNull()
    }
    expect(value('root-port', 'acs')).toMatchObject({
      bits: { value: { capability: 0x5f, control: 0 } },
    })
    expect(value('downstream-port', 'acs')).toBeNull()
    expect(value('nic', 'functionLevelReset')).toBe(false)
    expect(value('nvme', 'functionLevelReset')).toBe(true)
    expect(value('sriov-nic', 'sriov')).toMatchObject({ totalVfs: 8, offset: 0x80, stride: 2 })
    expect(value('nvme-sriov', 'sriov')).toMatchObject({ totalVfs: 4, offset: 1, stride: 1 })
  })

  it('sets the multifunction bit when asked', () => {
    const config = fromHex(deviceTemplate('nic', { multifunction: true })?.config ?? '')
    expect(config[0x0e]).toBe(0x80)
    expect(fromHex(deviceTemplate('nic')?.config ?? '')[0x0e]).toBe(0)
  })

  it('starts MSI-X vectors masked and lets a generic function keep what is written to its BARs', () => {
    const template = deviceTemplate('usb') ?? fail()
    const fn = createFunction({ ...template, at: '0000:01:00.0', parent: null })
    expect(fn.readBar(0, 0x300c, 4)).toBe(1)
    fn.writeBar(0, 0x10, 4, 0x12345678)
    expect(fn.readBar(0, 0x12, 2)).toBe(0x1234)
    expect(fn.readBar(0, 0x4000, 4)).toBe(0xffffffff)
    expect(fn.readBar(1, 0, 1)).toBe(0xff)
    fn.reset('flr')
    expect(fn.readBar(0, 0x10, 4)).toBe(0)
  })

  it('shares small BARs as memory, but none with an interrupt table, and bounds large ones', () => {
    const make = (kind: string) =>
      createFunction({ ...(deviceTemplate(kind) ?? fail()), at: '0000:01:00.0', parent: null })
    expect(make('usb').memory(0)).toBeNull()
    const audio = make('audio')
    const shared = audio.memory(0)
    audio.writeBar(0, 8, 1, 0x42)
    expect(shared?.[8]).toBe(0x42)
    const gpu = make('gpu')
    expect(gpu.memory(1)).toBeNull()
    gpu.writeBar(1, 0x0fff1000, 4, 7)
    expect(gpu.readBar(1, 0x0fff1000, 4)).toBe(7)
    expect(gpu.readBar(1, 0x0fff2000, 4)).toBe(0)
    for (let page = 0; page < 5000; page++) gpu.writeBar(1, 4096 * page, 1, 1)
    expect(gpu.readBar(1, 4096 * 4999, 1)).toBe(0)
  })

  it('resets a virtual function by its own registers', () => {
    const template = deviceTemplate('nvme-sriov') ?? fail()
    const fn = createFunction({ ...template, at: '0000:01:00.0', parent: null })
    const virtual = fn.virtualFunction?.(0) ?? fail()
    virtual.connect(new MemoryPort())
    virtual.writeBar(0, 0x24, 4, 0x00070007)
    const express = virtual.config.capability(0x10)
    virtual.config.write(express + 8, 2, 0x8000)
    expect(virtual.readBar(0, 0x24, 4)).toBe(0)
  })
})

function fail(): never {
  throw new Error('there is no such kind')
}
