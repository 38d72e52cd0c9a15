import { describe, expect, it } from 'vitest'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import { acs } from '../hardware/capabilities.ts'
import { bridge, endpoint, type FunctionTraits, World } from './small-machine.case.ts'

const PORT = '0000:00:1c.0'
const GOOD: FunctionTraits = { extended: [acs(0x5f)] }

interface Setting {
  readonly requested?: boolean
  readonly release?: string
  readonly arguments?: string
  readonly traits?: FunctionTraits
  readonly lpc?: number
}

function machine(setting: Setting): World {
  const world = new World(
    { requestsAcs: setting.requested ?? true },
    setting.release ?? '6.12.117',
    setting.arguments ?? '',
  )
  world.plug(bridge(PCIE_TYPE.rootPort, setting.traits ?? GOOD), world.root, '1c')
  const lpc = world.plug(endpoint({ type: null, classCode: 0x060100 }), world.root, '1f')
  lpc.config.poke(0xf0, 4, setting.lpc ?? 0)
  world.scan()
  return world
}

function control(world: World): number {
  return world.device(PORT).hardware.config.read(0x106, 2)
}

describe('ACS', () => {
  it('is switched on as far as implemented, if an IOMMU driver asked', () => {
    expect(control(machine({}))).toBe(0x1d)
    expect(control(machine({ traits: { extended: [acs(0x05)] } }))).toBe(0x05)
    expect(control(machine({ requested: false }))).toBe(0)
  })

  it.each([
    ['pci=disable_acs_redir=00:1c.0', 0x11],
    ['pci=noaer,disable_acs_redir=0000:00:1c.0;00:02.0', 0x11],
    ['pci=disable_acs_redir=pci:1b36:000c', 0x11],
    ['pci=disable_acs_redir=pci:1b36:0:0:0', 0x11],
    ['pci=disable_acs_redir=00:1d.0', 0x1d],
    ['pci=config_acs=x0xx0x1@00:1c.0', 0x19],
    ['pci=config_acs=1000000@pci:1b36:000d', 0x1d],
  ])('obeys %s', (argument, expected) => {
    expect(control(machine({ arguments: argument }))).toBe(expected)
  })

  it('obeys the command line without IOMMU too, config_acs only since 6.11', () => {
    const argument = 'pci=config_acs=0011101@00:1c.0'
    expect(control(machine({ requested: false, arguments: argument }))).toBe(0x1d)
    expect(control(machine({ requested: false, arguments: argument, release: '6.1.192' }))).toBe(0)
  })

  it('is found by a path of devices below a fixed bus', () => {
    const world = new World({ requestsAcs: true }, '6.12.117', 'pci=disable_acs_redir=00:1c.0/00.0')
    const buses = { primary: 0, secondary: 7, subordinate: 8 }
    const port = world.plug(bridge(PCIE_TYPE.rootPort, { ...GOOD, buses }), world.root, '1c')
    world.plug(bridge(PCIE_TYPE.upstreamPort, GOOD), world.below(port), '00')
    world.scan()
    expect(control(world)).toBe(0x1d)
    expect(world.device('0000:07:00.0').hardware.config.read(0x106, 2)).toBe(0x11)
  })

  it('comes back after a reset', () => {
    const world = new World({ requestsAcs: true })
    const buses = { primary: 0, secondary: 1, subordinate: 1 }
    const port = world.plug(bridge(PCIE_TYPE.rootPort, { buses }), world.root, '1c')
    world.plug(endpoint({ ...GOOD, flr: true }), world.below(port), '00')
    world.scan()
    const { config } = world.device('0000:01:00.0').hardware
    config.write(0x106, 2, 0)
    world.write('0000:01:00.0', 'reset', '1')
    expect(config.read(0x106, 2)).toBe(0x1d)
  })
})

describe('Intel chipset ports', () => {
  const old: FunctionTraits = { vendor: 0x8086, device: 0x1c10 }

  it('without ACS are dealt with through the LPC bridge, if firmware enabled its base address', () => {
    const world = machine({ traits: old, lpc: 0xfed1c001 })
    expect(world.device(PORT).acsEnabledByQuirk).toBe(true)
    expect(world.context.log).toContain(`pci ${PORT}: Intel PCH root port ACS workaround enabled`)
    const failed = machine({ traits: old, lpc: 0 })
    expect(failed.device(PORT).acsEnabledByQuirk).toBe(false)
    expect(failed.context.log).toContain(`pci ${PORT}: Failed to enable Intel PCH ACS quirk`)
  })

  it('of Sunrise Point have their control register at +8', () => {
    const wide = { id: 0x0d, bytes: Uint8Array.of(0x0d, 0, 1, 0, 0x5f, 0, 0, 0, 0, 0, 0, 0) }
    const traits = { vendor: 0x8086, device: 0xa110, extended: [wide] }
    const { config } = machine({ traits }).device(PORT).hardware
    expect(config.read(0x108, 4)).toBe(0x1d)
    expect(config.read(0x106, 2)).toBe(0)
    const off = machine({ traits, arguments: 'pci=disable_acs_redir=00:1c.0' })
    expect(off.device(PORT).hardware.config.read(0x108, 4)).toBe(0x11)
  })
})

describe('DMA aliases', () => {
  it.each<[string, FunctionTraits, string, number[]]>([
    ['Marvell SATA uses function 1', { vendor: 0x1b4b, device: 0x9230 }, '02.0', [0x11]],
    ['Ricoh uses function 0', { vendor: 0x1180, device: 0xe832 }, '02.0', []],
    ['Xeon Phi uses three fixed ids', { vendor: 0x8086, device: 0x2260 }, '02', [0x80, 0x88, 0x93]],
    ['others use their own', { vendor: 0x8086, device: 0x10d3 }, '02', []],
  ])('%s', (_what, traits, place, expected) => {
    const world = new World()
    const [slot = ''] = place.split('.')
    world.plug(endpoint({ ...traits, multifunction: true }), world.root, place)
    world.scan()
    expect([...world.device(`0000:00:${slot}.0`).dmaAliases]).toEqual(expected)
  })

  it('are told in the log', () => {
    const world = new World()
    world.plug(endpoint({ multifunction: true }), world.root, '02.0')
    world.plug(endpoint({ vendor: 0x1180, device: 0xe832 }), world.root, '02.1')
    world.plug(endpoint({ vendor: 0x10b5, device: 0x87b0 }), world.root, '03')
    world.scan()
    expect([...world.device('0000:00:02.1').dmaAliases]).toEqual([0x10])
    expect(world.device('0000:00:03.0').dmaAliases.size).toBe(256)
    expect(world.context.log).toContain('pci 0000:00:02.1: Enabling fixed DMA alias to 02.0')
    expect(world.context.log).toContain(
      'pci 0000:00:03.0: Enabling fixed DMA alias for devfn range from 00.0 to 1f.7',
    )
  })
})
