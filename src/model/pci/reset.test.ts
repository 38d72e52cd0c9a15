import { describe, expect, it } from 'vitest'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import { advancedFeatures, msix, powerManagement } from '../hardware/capabilities.ts'
import type { BareFunction } from '../hardware/bare-function.case.ts'
import { hotResetScope, resetBus, tryResetFunction } from './reset.ts'
import { enableDevice, setMaster } from './power.ts'
import { bridge, endpoint, type FunctionTraits, MEMORY_BAR, World } from './small-machine.case.ts'

const FN = '0000:01:00.0'

/** Functions of one slot below a root port. */
function machine(...functions: readonly FunctionTraits[]): { world: World; fns: BareFunction[] } {
  const world = new World()
  const buses = { primary: 0, secondary: 1, subordinate: 1 }
  const port = world.plug(bridge(PCIE_TYPE.rootPort, { buses }), world.root, '01')
  const fns = functions.map((traits, n) =>
    world.plug(endpoint(traits), world.below(port), `00.${String(n)}`),
  )
  world.scan()
  return { world, fns }
}

describe('reset_method', () => {
  it("names the ways in the kernel's order", () => {
    const { world } = machine({ flr: true, more: [powerManagement(), advancedFeatures()] })
    expect(world.read(FN, 'reset_method')).toBe('flr af_flr pm bus\n')
  })

  it('leaves out what the function says it has not', () => {
    const kept = machine({ more: [powerManagement({ noSoftReset: true })] })
    expect(kept.world.read(FN, 'reset_method')).toBe('bus\n')
    const graphics = { vendor: 0x1002, classCode: 0x030000, more: [powerManagement()] }
    expect(machine(graphics).world.read(FN, 'reset_method')).toBe('bus\n')
    const atheros = { vendor: 0x168c, device: 0x0030, more: [powerManagement()] }
    expect(machine(atheros).world.read(FN, 'reset_method')).toBe('pm\n')
    const samsung = { vendor: 0x144d, device: 0xa804, classCode: 0x010802, flr: true }
    expect(machine(samsung).world.read(FN, 'reset_method')).toBe('device_specific flr bus\n')
  })

  it('has "bus" for the first function of a device, which was alone when it was asked', () => {
    const { world } = machine({ multifunction: true, flr: true }, { flr: true })
    expect(world.read(FN, 'reset_method')).toBe('flr bus\n')
    expect(world.read('0000:01:00.1', 'reset_method')).toBe('flr\n')
    world.write(FN, 'reset_method', 'flr')
    expect(() => world.write(FN, 'reset_method', 'bus')).toThrow('EINVAL')
  })

  it('is not there for functions that cannot be reset', () => {
    const world = new World()
    world.plug(endpoint({ type: null }), world.root, '01')
    world.scan()
    expect(world.exists('0000:00:01.0', 'reset')).toBe(false)
    expect(world.exists('0000:00:01.0', 'reset_method')).toBe(false)
  })

  it('takes a list, "default" or nothing', () => {
    const { world, fns } = machine({ flr: true, more: [powerManagement()] })
    world.write(FN, 'reset_method', 'pm  flr\n')
    expect(world.read(FN, 'reset_method')).toBe('pm flr\n')
    world.write(FN, 'reset', '1')
    expect(fns[0]?.resets).toEqual(['pm'])
    for (const text of ['warm', 'af_flr', 'flr warm']) {
      expect(() => world.write(FN, 'reset_method', text)).toThrow('EINVAL')
    }
    world.write(FN, 'reset_method', '\n')
    expect(world.read(FN, 'reset_method')).toBe('')
    expect(() => world.write(FN, 'reset', '1')).toThrow('ENOTTY')
    world.write(FN, 'reset_method', 'default')
    expect(world.read(FN, 'reset_method')).toBe('flr pm bus\n')
  })

  it('of a real host is taken as it was', () => {
    const world = new World({ resetMethods: () => ['acpi', 'pm'] })
    const fn = world.plug(endpoint({ more: [powerManagement()] }), world.root, '01')
    world.scan()
    expect(world.read('0000:00:01.0', 'reset_method')).toBe('acpi pm\n')
    world.write('0000:00:01.0', 'reset', '1')
    expect(fn.resets).toEqual(['flr'])
  })
})

describe('a reset', () => {
  it('keeps what the kernel programmed: addresses, command register, vectors', () => {
    const { world, fns } = machine({
      flr: true,
      bars: [MEMORY_BAR],
      more: [msix({ vectors: 2, bar: 0 })],
    })
    const [fn] = fns
    if (fn === undefined) throw new Error()
    const device = world.device(FN)
    enableDevice(device)
    setMaster(device)
    fn.config.write(fn.config.capability(0x11) + 2, 2, 0x8000)
    fn.writeBar(0, 24, 4, 0x55)
    const before = fn.config.snapshot()
    const reset = fn.reset.bind(fn)
    fn.reset = (kind) => {
      expect(fn.config.read(0x10, 4)).toBe(0)
      fn.written.clear()
      reset(kind)
    }
    world.write(FN, 'reset', '1')
    expect(fn.resets).toEqual(['flr'])
    expect(fn.config.snapshot()).toEqual(before)
    expect(fn.readBar(0, 24)).toBe(0x55)
  })

  it('takes only 1', () => {
    const { world, fns } = machine({ flr: true })
    for (const text of ['0', '2', 'x']) {
      expect(() => world.write(FN, 'reset', text)).toThrow('EINVAL')
    }
    world.write(FN, 'reset', '0x1\n')
    expect(fns[0]?.resets).toEqual(['flr'])
  })

  it('by the bus ends in ENOTTY when siblings came later', () => {
    const { world, fns } = machine({ multifunction: true }, {})
    expect(world.read(FN, 'reset_method')).toBe('bus\n')
    expect(() => world.write(FN, 'reset', '1')).toThrow('ENOTTY')
    expect(fns.flatMap(({ resets }) => resets)).toEqual([])
  })

  it('of a locked device is put off', () => {
    const { world } = machine({ flr: true })
    const device = world.device(FN)
    device.lock.tryAcquire()
    expect(() => tryResetFunction(world.pci, device)).toThrow('EAGAIN')
    device.lock.release()
    tryResetFunction(world.pci, device)
  })
})

describe('a hot reset', () => {
  it('reaches every function of the bus and keeps their registers', () => {
    const { world, fns } = machine(
      { multifunction: true, bars: [MEMORY_BAR] },
      { bars: [MEMORY_BAR] },
    )
    const before = fns.map((fn) => fn.config.snapshot())
    const scope = hotResetScope(world.device(FN))
    expect(scope?.map(({ name }) => name)).toEqual([FN, '0000:01:00.1'])
    resetBus(world.pci, world.device(FN))
    expect(fns.map(({ resets }) => resets)).toEqual([['bus'], ['bus']])
    expect(fns.map((fn) => fn.config.snapshot())).toEqual(before)
    expect(world.device('0000:00:01.0').hardware.config.read(0x3e, 2)).toBe(0)
  })

  it('is all or nothing: one lock that is held puts it off', () => {
    const { world, fns } = machine({ multifunction: true }, {})
    world.device('0000:01:00.1').lock.tryAcquire()
    expect(() => resetBus(world.pci, world.device(FN))).toThrow('EAGAIN')
    expect(fns.flatMap(({ resets }) => resets)).toEqual([])
    expect(world.device(FN).lock.held).toBe(false)
  })

  it('does not exist on a root bus, nor for devices that do not survive it', () => {
    const { world } = machine({ vendor: 0x168c, device: 0x0030 })
    expect(hotResetScope(world.device('0000:00:01.0'))).toBeNull()
    expect(hotResetScope(world.device(FN))).toBeNull()
    expect(() => resetBus(world.pci, world.device(FN))).toThrow('ENOTTY')
  })
})
