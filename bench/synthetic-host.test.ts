import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeConfig } from '../src/pci/config-decode.ts'
import { layOutHost } from './synthetic-host.ts'
import { writeHost } from './write-host.ts'

describe('layOutHost()', () => {
  const functions = layOutHost(10_400)

  it('gives exactly as many functions as asked for, each at an address of its own', () => {
    expect(functions.length).toBe(10_400)
    expect(new Set(functions.map((fn) => fn.address)).size).toBe(10_400)
    expect(layOutHost(0)).toEqual([])
  })

  it('makes more than half of them virtual, over several domains and root buses', () => {
    const virtual = functions.filter((fn) => fn.physical !== null).length
    expect(virtual / functions.length).toBeGreaterThan(0.5)
    expect(virtual / functions.length).toBeLessThan(0.7)
    expect(new Set(functions.map((fn) => fn.address.slice(0, 4))).size).toBeGreaterThan(4)
  })

  it('names parents and physical functions before those that hang on them', () => {
    const seen = new Set()
    for (const fn of functions) {
      for (const needed of [...fn.above, ...(fn.physical === null ? [] : [fn.physical])]) {
        expect(seen.has(needed)).toBe(true)
      }
      seen.add(fn)
    }
  })

  it('puts every function on the bus that the bridge above it leads to', () => {
    for (const fn of functions) {
      const bus = Number.parseInt(fn.address.slice(5, 7), 16)
      const [first, last] = fn.above.at(-1)?.buses ?? [bus, bus]
      expect(bus >= first && bus <= last).toBe(true)
    }
  })
})

describe('writeHost()', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isogroup-bench-test-'))
  const functions = layOutHost(200)
  const device = (address: string): string => join(folder, 'sys/bus/pci/devices', address)
  beforeAll(() => {
    writeHost(folder, functions)
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  it('writes config spaces that decode without damage to what was laid out', () => {
    for (const fn of functions) {
      const facts = decodeConfig(readFileSync(join(device(fn.address), 'config')), true)
      expect(facts.damage).toEqual([])
      expect(facts.pcie).toEqual({
        known: true,
        value: fn.kind.type === null ? null : { type: fn.kind.type },
      })
      expect(facts.multifunction).toEqual({ known: true, value: fn.multifunction })
      expect(facts.acs.known && facts.acs.value !== null).toBe(fn.kind.acs !== null)
    }
  })

  it('points the SR-IOV offset of a physical function at its first virtual function', () => {
    const physical = functions.filter((fn) => existsSync(join(device(fn.address), 'virtfn0')))
    expect(physical.length).toBeGreaterThan(3)
    for (const fn of physical) {
      const { sriov } = decodeConfig(readFileSync(join(device(fn.address), 'config')), true)
      const offset = sriov.known ? (sriov.value?.offset ?? 0) : 0
      const first =
        realpathSync(join(device(fn.address), 'virtfn0'))
          .split('/')
          .at(-1) ?? ''
      expect(requesterId(first)).toBe(requesterId(fn.address) + offset)
    }
  })

  it('links every function to its group and back', () => {
    for (const fn of functions) {
      const group = realpathSync(join(device(fn.address), 'iommu_group'))
      expect(readdirSync(join(group, 'devices'))).toContain(fn.address)
      expect(realpathSync(join(group, 'devices', fn.address))).toBe(
        realpathSync(device(fn.address)),
      )
    }
  })
})

function requesterId(address: string): number {
  const [, bus = '', slot = '', fn = ''] = address.split(/[:.]/)
  return Number.parseInt(bus, 16) * 256 + Number.parseInt(slot, 16) * 8 + Number(fn)
}
