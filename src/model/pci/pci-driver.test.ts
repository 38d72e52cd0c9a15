import { describe, expect, it } from 'vitest'
import type { DeviceId } from '../driver-core/driver.ts'
import { endpoint, World } from './small-machine.case.ts'

const FN = '0000:00:01.0'

function machine(): World {
  const world = new World()
  world.plug(endpoint({ subsystem: { vendor: 0x1028, device: 0x05d3 } }), world.root, '01')
  world.plug(endpoint({ vendor: 0x1af4, device: 0x1000 }), world.root, '02')
  world.scan()
  return world
}

function bound(world: World, address = FN): string | null {
  return world.device(address).driver?.name ?? null
}

const ANY: DeviceId = {
  vendor: null,
  device: null,
  subvendor: null,
  subdevice: null,
  class: 0,
  classMask: 0,
  overrideOnly: false,
  driverData: 0,
}

describe('matching', () => {
  it.each<[string, Partial<DeviceId>, boolean]>([
    ['vendor and device', { vendor: 0x8086, device: 0x10d3 }, true],
    ['another device', { vendor: 0x8086, device: 0x10d4 }, false],
    ['subsystem', { vendor: 0x8086, subvendor: 0x1028, subdevice: 0x05d3 }, true],
    ['another subsystem', { vendor: 0x8086, subvendor: 0x1029 }, false],
    ['class', { class: 0x020000, classMask: 0xffff00 }, true],
    ['another class', { class: 0x010000, classMask: 0xff0000 }, false],
    ['anything, but only with an override', { overrideOnly: true }, false],
  ])('is by %s', (_what, id, expected) => {
    const world = machine()
    world.driver('some', [], { ids: [{ ...ANY, ...id }] })
    expect(bound(world) === 'some').toBe(expected)
  })
})

describe('new_id', () => {
  const NEW_ID = '/bus/pci/drivers/pci-stub/new_id'

  it('offers the driver every free function that it matches', () => {
    const world = machine()
    world.driver('pci-stub')
    world.writeFile(NEW_ID, '8086 10d3\n')
    expect(bound(world)).toBe('pci-stub')
    world.writeFile('/bus/pci/drivers/pci-stub/unbind', FN)
    world.writeFile(NEW_ID, 'dead beef')
    expect(bound(world)).toBe('pci-stub')
  })

  it.each([
    ['8086', 'EINVAL'],
    ['network card', 'EINVAL'],
    ['8086 10d3', 'EEXIST'],
    ['8086 10d3 ffffffff ffffffff 0 0 5', 'EINVAL'],
    ['1234 5678 ffffffff ffffffff 0 0 5', 'EINVAL'],
  ])('refuses %s for a driver that has a table', (text, code) => {
    const world = machine()
    world.driver('e1000e', [[0x8086, 0x10d3]])
    expect(() => world.writeFile('/bus/pci/drivers/e1000e/new_id', text)).toThrow(code)
  })

  it('takes any driver data where there is no table, and an id given before only once', () => {
    const world = machine()
    world.driver('pci-stub')
    world.writeFile(NEW_ID, '1af4 1000 ffffffff ffffffff 0 0 17')
    expect(bound(world, '0000:00:02.0')).toBe('pci-stub')
    expect(() => world.writeFile(NEW_ID, '1af4 1000')).toThrow('EEXIST')
  })

  it('narrows by subsystem and class', () => {
    const world = machine()
    world.driver('pci-stub')
    world.writeFile(NEW_ID, '8086 10d3 1028 ffff')
    expect(bound(world)).toBeNull()
    world.writeFile(NEW_ID, '8086 10d3 1028 5d3 020000 ff0000')
    expect(bound(world)).toBe('pci-stub')
  })

  it('is forgotten by remove_id, which leaves the function bound', () => {
    const world = machine()
    world.driver('pci-stub')
    world.writeFile(NEW_ID, '8086 10d3')
    const REMOVE_ID = '/bus/pci/drivers/pci-stub/remove_id'
    expect(() => world.writeFile(REMOVE_ID, '8086')).toThrow('EINVAL')
    expect(() => world.writeFile(REMOVE_ID, '8086 10d4')).toThrow('ENODEV')
    world.writeFile(REMOVE_ID, '0x8086 0x10d3')
    expect(bound(world)).toBe('pci-stub')
    world.writeFile('/bus/pci/drivers/pci-stub/unbind', FN)
    expect(() => world.writeFile('/bus/pci/drivers/pci-stub/bind', FN)).toThrow('ENODEV')
  })
})
