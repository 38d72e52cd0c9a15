import { describe, expect, it } from 'vitest'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import { BareFunction } from './bare-function.case.ts'
import { msi, msix, pciExpress, powerManagement, sriov } from './capabilities.ts'
import { buildConfig } from './config-build.ts'
import { configSpace, virtualFunctionConfig } from './config-space.ts'
import { bridge, DATA, endpoint, Machine } from './fabric-machine.case.ts'
import type { Bar } from './function.ts'

const VIRTUAL_BAR: Bar = { index: 0, size: 0x1000, kind: 'mem64', prefetchable: true }

describe('DMA', () => {
  it('needs the bus master bit and full power', () => {
    const machine = new Machine()
    const fn = machine.plug(
      endpoint({ more: [powerManagement({ noSoftReset: true })] }),
      machine.root,
      8,
    )
    expect(fn.port?.write(2, 0, DATA)).toBe(true)
    fn.config.write(0x04, 2, 0x2)
    expect(fn.port?.write(2, 0, DATA)).toBe(false)
    expect(fn.port?.read(2, 0, 4)).toBeNull()
    fn.config.write(0x04, 2, 0x6)
    const power = fn.config.capability(1)
    fn.config.write(power + 4, 2, 3)
    expect(fn.port?.write(2, 0, DATA)).toBe(false)
    fn.config.write(power + 4, 2, 0)
    expect(fn.port?.write(2, 0, DATA)).toBe(true)
  })

  it('goes where the IOMMU says, under the id of the function', () => {
    const machine = new Machine()
    const fn = machine.plug(endpoint(), machine.root, (5 << 3) | 1)
    expect(fn.port?.write(2, 16, DATA)).toBe(true)
    expect([...machine.memory.bytes(0x102, 1).slice(16, 20)]).toEqual([1, 2, 3, 4])
    expect(fn.port?.read(2, 16, 4)).toEqual(DATA)
    expect(fn.port?.write(3, 0, DATA)).toBe(false)
    expect(new Set(machine.iommu.requesters)).toEqual(new Set([(5 << 3) | 1]))
  })

  it('crosses page borders piece by piece', () => {
    const machine = new Machine()
    machine.translated = false
    const fn = machine.plug(endpoint(), machine.root, 8)
    expect(fn.port?.write(4, 4094, DATA)).toBe(true)
    expect(fn.port?.read(4, 4094, 4)).toEqual(DATA)
    expect([...machine.memory.bytes(5, 1).slice(0, 2)]).toEqual([3, 4])
  })

  it('ends in an abort where there is no memory', () => {
    const machine = new Machine()
    machine.translated = false
    const fn = machine.plug(endpoint(), machine.root, 8)
    expect(fn.port?.read(0x90000, 0, 4)).toBeNull()
    expect(fn.port?.write(0x90000, 0, DATA)).toBe(false)
  })

  it('is over when the function is pulled', () => {
    const machine = new Machine()
    const fn = machine.plug(endpoint(), machine.root, 8)
    const { port } = fn
    machine.slots.unplug(fn)
    expect(fn.port).toBeNull()
    expect(port?.write(2, 0, DATA)).toBe(false)
  })
})

describe('requester ids', () => {
  it('follow the bus number that software wrote into the bridge', () => {
    const machine = new Machine()
    const port = machine.plug(bridge(PCIE_TYPE.rootPort, { secondary: 1 }), machine.root, 8)
    const fn = machine.plug(endpoint(), machine.slots.below(port), 0)
    fn.port?.read(2, 0, 4)
    port.config.write(0x19, 1, 7)
    fn.port?.read(2, 0, 4)
    expect(machine.iommu.requesters).toEqual([0x0100, 0x0700])
  })

  it('become the secondary bus behind a PCIe-to-PCI bridge, the own id behind a conventional one', () => {
    const machine = new Machine()
    const port = machine.plug(bridge(PCIE_TYPE.rootPort, { secondary: 1 }), machine.root, 8)
    const toPci = machine.plug(
      bridge(PCIE_TYPE.pcieToPciBridge, { secondary: 2 }),
      machine.slots.below(port),
      0,
    )
    const nested = machine.plug(bridge(null, { secondary: 3 }), machine.slots.below(toPci), 8)
    const near = machine.plug(endpoint({ type: null }), machine.slots.below(toPci), 16)
    const far = machine.plug(endpoint({ type: null }), machine.slots.below(nested), 0)
    const conventional = machine.plug(bridge(null, { secondary: 4 }), machine.root, 0xf0)
    const old = machine.plug(endpoint({ type: null }), machine.slots.below(conventional), 0)
    for (const fn of [near, far, old]) fn.port?.read(2, 0, 4)
    expect(machine.iommu.requesters).toEqual([0x0200, 0x0200, 0x00f0])
  })

  it('of a bridge that hides that it is PCI Express are those of such a bridge', () => {
    const machine = new Machine()
    const port = machine.plug(bridge(PCIE_TYPE.rootPort, { secondary: 1 }), machine.root, 8)
    const hidden = machine.plug(bridge(null, { secondary: 2 }), machine.slots.below(port), 0)
    const fn = machine.plug(endpoint({ type: null }), machine.slots.below(hidden), 8)
    fn.port?.read(2, 0, 4)
    expect(machine.iommu.requesters).toEqual([0x0200])
  })

  it('of a hosted domain are those of its host', () => {
    const machine = new Machine()
    const host = machine.plug(endpoint(), machine.root, 0x70)
    const hosted = machine.slots.addRoot('10000:e0', host)
    const fn = machine.plug(endpoint(), hosted, 0x30)
    fn.port?.read(2, 0, 4)
    expect(machine.iommu.requesters).toEqual([0x0070])
  })
})

describe('virtual functions', () => {
  it('are on the bus while VF Enable is set, each under an id of its own', () => {
    const machine = new Machine()
    const options = { total: 4, offset: 0x101, stride: 2, vfDevice: 0x1234, bars: [VIRTUAL_BAR] }
    const bytes = buildConfig({
      vendor: 0x8086,
      device: 0x10c9,
      classCode: 0x020000,
      capabilities: [pciExpress({ type: 0, flr: true })],
      extended: [sriov(options)],
    })
    const pf = new BareFunction(configSpace(bytes, [], [VIRTUAL_BAR]), [], () => {
      return new BareFunction(virtualFunctionConfig(bytes), [VIRTUAL_BAR])
    })
    machine.slots.plug(pf, machine.root, 8)
    pf.config.write(0x110, 2, 2)
    expect(pf.virtual).toHaveLength(0)
    pf.config.write(0x108, 2, 0x9)
    pf.config.write(0x124, 4, 0xd0000000)
    for (const vf of pf.virtual) vf.config.write(0x04, 2, 4)
    pf.virtual[1]?.port?.read(2, 0, 4)
    expect(machine.iommu.requesters).toEqual([0x10b])

    // Memory page that the IOMMU leads to the second one's register.
    const user = machine.plug(endpoint(), machine.root, 16)
    expect(user.port?.write(0xd0000 + 1 - 0x100 + 1, 8, DATA)).toBe(false)
    machine.translated = false
    machine.fabric.rewired()
    expect(user.port?.write(0xd0001, 8, DATA)).toBe(true)
    expect(pf.virtual[1]?.written.get('0:8')).toBe(0x04030201)

    pf.config.write(0x48, 2, 0x8000)
    expect(pf.virtual[0]?.port).toBeNull()
    expect(pf.virtual[1]?.port).toBeNull()
    pf.config.write(0x110, 2, 1)
    pf.config.write(0x108, 2, 0x9)
    expect(pf.virtual[0]?.port).not.toBeNull()
    machine.slots.unplug(pf)
    pf.config.reset()
    expect(pf.virtual).toHaveLength(2)
    expect(pf.virtual[0]?.port).toBeNull()
  })
})

describe('messages', () => {
  it('of MSI carry the address and data of the registers, varied by vector', () => {
    const machine = new Machine()
    const fn = machine.plug(endpoint({ more: [msi({ vectors: 4 })] }), machine.root, 8)
    const at = fn.config.capability(5)
    fn.config.write(at + 4, 4, 0xfee01000)
    fn.config.write(at + 12, 2, 0x40)
    fn.port?.message(0)
    expect(machine.deliveries).toEqual([])
    fn.config.write(at + 2, 2, 0x21)
    fn.port?.message(3)
    expect(machine.deliveries).toEqual([
      { from: fn, vector: 3, interrupt: { vector: 0x43, destination: 0 } },
    ])
  })

  it('of MSI-X come from the table, unless masked there or in the control register', () => {
    const machine = new Machine()
    const fn = machine.plug(endpoint({ more: [msix({ vectors: 2, bar: 0 })] }), machine.root, 8)
    const at = fn.config.capability(0x11)
    fn.written.set('0:16', 0xfee00000).set('0:24', 0x55).set('0:28', 1)
    fn.config.write(at + 2, 2, 0x8000)
    fn.port?.message(1)
    fn.written.set('0:28', 0)
    fn.config.write(at + 2, 2, 0xc000)
    fn.port?.message(1)
    expect(machine.deliveries).toEqual([])
    fn.config.write(at + 2, 2, 0x8000)
    fn.port?.message(1)
    expect(machine.deliveries.map(({ vector, interrupt }) => [vector, interrupt.vector])).toEqual([
      [1, 0x55],
    ])
  })

  it('wait while their MSI vector is masked', () => {
    const machine = new Machine()
    const fn = machine.plug(
      endpoint({ more: [msi({ vectors: 2, maskable: true })] }),
      machine.root,
      8,
    )
    const at = fn.config.capability(5)
    fn.config.write(at + 4, 4, 0xfee00000)
    fn.config.write(at + 2, 2, 0x11)
    fn.config.write(at + 16, 4, 0x2)
    fn.port?.message(1)
    expect(machine.deliveries).toEqual([])
    expect(fn.config.read(at + 20, 4)).toBe(0x2)
    fn.config.write(at + 16, 4, 0)
    expect(machine.deliveries).toHaveLength(1)
    expect(fn.config.read(at + 20, 4)).toBe(0)
  })

  it('can be forged by a plain write, and blocked by remapping', () => {
    const machine = new Machine()
    const fn = machine.plug(endpoint(), machine.root, 8)
    expect(fn.port?.write(0xfee00, 0, Uint8Array.of(0x31, 0, 0, 0))).toBe(true)
    expect(fn.port?.write(0xfee00, 0, Uint8Array.of(0x99, 0, 0, 0))).toBe(false)
    const translated = machine.iommu.requesters.length
    expect(fn.port?.read(0xfee00, 0, 4)).toBeNull()
    expect(machine.iommu.requesters).toHaveLength(translated)
    machine.translated = false
    machine.fabric.rewired()
    expect(fn.port?.write(0xfee02, 0, Uint8Array.of(0x99, 0, 0, 0))).toBe(true)
    expect(machine.deliveries).toEqual([
      { from: fn, vector: null, interrupt: { vector: 0x31, destination: 0 } },
      { from: fn, vector: null, interrupt: { vector: 0x99, destination: 2 } },
    ])
  })
})

describe('the INTx pin', () => {
  it('shows in the status register, and on the wire unless disabled', () => {
    const machine = new Machine()
    const fn = machine.plug(endpoint(), machine.root, 8)
    fn.port?.pin(true)
    expect(fn.config.read(0x06, 2) & 8).toBe(8)
    fn.config.write(0x04, 2, 0x406)
    fn.port?.pin(false)
    fn.port?.pin(true)
    fn.config.write(0x04, 2, 0x006)
    expect(machine.pins).toEqual([true, false, true])
  })
})

describe('a secondary bus reset', () => {
  it('reaches everything below the bridge, and nothing beside it', () => {
    const machine = new Machine()
    const port = machine.plug(bridge(PCIE_TYPE.rootPort, { secondary: 1 }), machine.root, 8)
    const upstream = machine.plug(
      bridge(PCIE_TYPE.upstreamPort, { secondary: 2 }),
      machine.slots.below(port),
      0,
    )
    const below = machine.plug(endpoint(), machine.slots.below(upstream), 0, 0xf0000000)
    const beside = machine.plug(endpoint(), machine.root, 16, 0xf0100000)
    port.config.write(0x3e, 2, 0x40)
    port.config.write(0x3e, 2, 0)
    expect([upstream.resets, below.resets, beside.resets]).toEqual([['bus'], ['bus'], []])
    expect(below.config.read(0x10, 4)).toBe(0)
    expect(beside.config.read(0x10, 4)).toBe(0xf0100000)
  })
})
