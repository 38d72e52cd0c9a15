import { describe, expect, it } from 'vitest'
import type { HardwareFunction } from '../function.ts'
import { createFunction, deviceTemplate } from './catalogue.ts'
import { drain, MemoryPort } from './memory-port.case.ts'

function plugged(): { edu: HardwareFunction; port: MemoryPort } {
  const template = deviceTemplate('edu')
  if (template === undefined) throw new Error('no edu')
  const edu = createFunction({ ...template, at: '0000:00:05.0', parent: null })
  const port = new MemoryPort()
  edu.connect(port)
  return { edu, port }
}

function dma(
  edu: HardwareFunction,
  source: number,
  target: number,
  count: number,
  command: number,
) {
  for (const [register, value] of [
    [0x80, source],
    [0x88, target],
    [0x90, count],
    [0x98, command],
  ] as const) {
    edu.writeBar(0, register, 4, value)
  }
}

describe('edu', () => {
  it('identifies itself and inverts the liveness register', () => {
    const { edu } = plugged()
    expect(edu.readBar(0, 0x00, 4)).toBe(0x010000ed)
    edu.writeBar(0, 0x04, 4, 0x12345678)
    expect(edu.readBar(0, 0x04, 4)).toBe(0xedcba987)
    expect(edu.readBar(0, 0x00, 2)).toBe(0)
    expect(edu.readBar(0, 0x40000, 4)).toBe(0xffffffff)
  })

  it('computes a factorial later, ignores a second number meanwhile, and raises the pin if asked', () => {
    const { edu, port } = plugged()
    edu.writeBar(0, 0x20, 4, 0x80)
    edu.writeBar(0, 0x08, 4, 5)
    edu.writeBar(0, 0x08, 4, 6)
    expect(edu.readBar(0, 0x20, 4)).toBe(0x81)
    expect(edu.busy).toBe(true)
    drain(edu)
    expect(edu.readBar(0, 0x08, 4)).toBe(120)
    expect(edu.readBar(0, 0x20, 4)).toBe(0x80)
    expect(edu.readBar(0, 0x24, 4)).toBe(1)
    expect(port.level).toBe(true)
    edu.writeBar(0, 0x64, 4, 1)
    expect(port.level).toBe(false)
  })

  it('keeps factorials to 32 bits', () => {
    const { edu } = plugged()
    edu.writeBar(0, 0x08, 4, 13)
    drain(edu)
    expect(edu.readBar(0, 0x08, 4)).toBe(6227020800 % 2 ** 32)
    edu.writeBar(0, 0x08, 4, 0xffffffff)
    drain(edu)
    expect(edu.readBar(0, 0x08, 4)).toBe(0)
  })

  it('copies memory through its buffer, across pages, and sends a message when MSI is on', () => {
    const { edu, port } = plugged()
    edu.config.write(edu.config.capability(5) + 2, 2, 1)
    for (let n = 0; n < 4096; n++) port.bytes[0x1800 + n] = n & 0xff
    dma(edu, 0x1800, 0x40000, 4096, 0x1)
    expect(port.bytes[0x8000]).toBe(0)
    drain(edu)
    dma(edu, 0x40000, 0x8000, 4096, 0x7)
    drain(edu)
    expect(port.bytes.slice(0x8000, 0x9000)).toEqual(port.bytes.slice(0x1800, 0x2800))
    expect(edu.readBar(0, 0x24, 4)).toBe(0x100)
    expect(port.messages).toEqual([0])
    expect(port.level).toBe(false)
  })

  it('cuts addresses to 28 bits and stays inside its buffer', () => {
    const { edu, port } = plugged()
    port.bytes[0x2000] = 7
    dma(edu, 0xf0002000, 0x40010, 1, 1)
    drain(edu)
    dma(edu, 0x40010, 0x3000, 1, 3)
    drain(edu)
    expect(port.bytes[0x3000]).toBe(7)
    dma(edu, 0x40ff0, 0x3000, 0x20, 3)
    drain(edu)
    expect(port.bytes[0x3001]).toBe(0)
  })

  it('reads zeros where the IOMMU refuses, and loses what it writes there', () => {
    const { edu, port } = plugged()
    port.bytes[0x2000] = 7
    dma(edu, 0x2000, 0x40000, 1, 1)
    drain(edu)
    port.refused.add(2)
    dma(edu, 0x2000, 0x40000, 1, 1)
    drain(edu)
    dma(edu, 0x40000, 0x3000, 1, 3)
    port.bytes[0x3000] = 9
    drain(edu)
    expect(port.bytes[0x3000]).toBe(0)
    dma(edu, 0x40000, 0x2000, 1, 3)
    drain(edu)
    expect(port.bytes[0x2000]).toBe(7)
  })

  it('forgets everything at a reset, what another owner left in its buffer too', () => {
    const { edu, port } = plugged()
    port.bytes[0x2000] = 7
    dma(edu, 0x2000, 0x40000, 1, 1)
    drain(edu)
    dma(edu, 0x40000, 0x3000, 1, 3)
    edu.reset('bus')
    expect(edu.busy).toBe(false)
    dma(edu, 0x40000, 0x3000, 1, 3)
    port.bytes[0x3000] = 9
    drain(edu)
    expect(port.bytes[0x3000]).toBe(0)
  })
})
