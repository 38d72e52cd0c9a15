import { describe, expect, it } from 'vitest'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { BareFunction } from './bare-function.case.ts'
import { acs, powerManagement } from './capabilities.ts'
import { bridge, DATA, endpoint, Machine } from './fabric-machine.case.ts'
import type { HardwareBus } from './slots.ts'

/** A switch with two endpoints, or conventional PCI, below a root port. */
function peers(
  top: number,
  downstream: { acs?: number } | null,
): { machine: Machine; a: BareFunction; b: BareFunction } {
  const machine = new Machine()
  const port = machine.plug(
    bridge(PCIE_TYPE.rootPort, { secondary: 1, acs: 0x1d }),
    machine.root,
    8,
  )
  const upstream = machine.plug(bridge(top, { secondary: 2 }), machine.slots.below(port), 0)
  const inner = machine.slots.below(upstream)
  const place = (n: number): HardwareBus => {
    if (downstream === null) return inner
    const first = 0xf000 + 0x10 * n
    const own = bridge(PCIE_TYPE.downstreamPort, {
      secondary: 3 + n,
      window: [first, first],
      ...downstream,
    })
    machine.plug(own, inner, 8 * n)
    return machine.slots.below(own)
  }
  const type = downstream === null ? null : PCIE_TYPE.endpoint
  const a = machine.plug(endpoint({ type }), place(0), 0, 0xf0000000)
  const b = machine.plug(endpoint({ type }), place(1), 8, 0xf0100000)
  return { machine, a, b }
}

/** Writes to the peer's register. @returns whether it got there without the IOMMU */
function reached(a: BareFunction, b: BareFunction, machine: Machine): boolean {
  a.port?.write(0xf0100, 0x20, DATA)
  expect(machine.iommu.requesters).toHaveLength(b.written.size === 0 ? 1 : 0)
  return b.written.get('0:32') === 0x04030201
}

describe('peer-to-peer', () => {
  it('goes straight through a switch whose ports do not redirect', () => {
    const { machine, a, b } = peers(PCIE_TYPE.upstreamPort, {})
    expect(reached(a, b, machine)).toBe(true)
    b.written.set('0:36', 0x08070605)
    expect(a.port?.read(0xf0100, 36, 4)).toEqual(Uint8Array.of(5, 6, 7, 8))
  })

  it('is sent up by P2P Request Redirect, and only by it', () => {
    const on = peers(PCIE_TYPE.upstreamPort, { acs: 0x1d })
    expect(reached(on.a, on.b, on.machine)).toBe(false)
    const off = peers(PCIE_TYPE.upstreamPort, { acs: 0x19 })
    expect(reached(off.a, off.b, off.machine)).toBe(true)
  })

  it('turns back at a port above that does not forward upstream', () => {
    const { machine, a, b } = peers(PCIE_TYPE.upstreamPort, { acs: 0x1d })
    const root = machine.root.functions.get(8)
    root?.config.write(0x106, 2, 0x0d)
    expect(reached(a, b, machine)).toBe(true)
  })

  it('cannot be kept apart on conventional PCI', () => {
    const { machine, a, b } = peers(PCIE_TYPE.pcieToPciBridge, null)
    expect(reached(a, b, machine)).toBe(true)
  })

  it('does not reach a peer that sleeps', () => {
    const { machine, a } = peers(PCIE_TYPE.upstreamPort, {})
    const power = powerManagement({ noSoftReset: true })
    const bus = machine.slots.place(a)?.bus
    const sleeper = machine.plug(endpoint({ more: [power] }), bus ?? machine.root, 1, 0xf0200000)
    sleeper.config.write(sleeper.config.capability(1) + 4, 2, 3)
    a.port?.write(0xf0200, 0, DATA)
    expect(sleeper.written.size).toBe(0)
    sleeper.config.write(sleeper.config.capability(1) + 4, 2, 0)
    a.port?.write(0xf0200, 0, DATA)
    expect(sleeper.written.size).toBe(1)
  })

  it('does not reach a peer that does not decode memory or has no window', () => {
    const closed = peers(PCIE_TYPE.upstreamPort, {})
    closed.b.config.write(0x04, 2, 0x4)
    expect(reached(closed.a, closed.b, closed.machine)).toBe(false)
    const windowless = peers(PCIE_TYPE.upstreamPort, {})
    const { machine } = windowless
    const bus = machine.slots.place(windowless.b)?.bus
    bus?.bridge?.config.write(0x20, 4, 0)
    expect(reached(windowless.a, windowless.b, machine)).toBe(false)
  })

  it.each([
    ['functions of one slot', {}, 1, true],
    ['slots of the root complex', {}, 8, false],
    ['integrated endpoints', { type: PCIE_TYPE.integratedEndpoint }, 1, false],
    ['functions with ACS but without redirect', { extended: [acs(0x01)] }, 1, false],
  ] as const)('between %s: straight %o', (_name, options, distance, straight) => {
    const machine = new Machine()
    const a = machine.plug(endpoint(options), machine.root, 8, 0xf0000000)
    const b = machine.plug(endpoint(options), machine.root, 8 + distance, 0xf0100000)
    expect(reached(a, b, machine)).toBe(straight)
  })
})
