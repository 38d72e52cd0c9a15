import { describe, expect, it } from 'vitest'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import { powerManagement, subsystemIds } from '../hardware/capabilities.ts'
import { allow } from '../driver-core/runtime-power.ts'
import { enableDevice, setPowerState } from './power.ts'
import { bridge, endpoint, MEMORY_BAR, USER, World } from './small-machine.case.ts'

const FN = '0000:00:02.0'

function machine(): World {
  const world = new World()
  world.plug(bridge(PCIE_TYPE.rootPort, { more: [subsystemIds(0x1af4, 0x1100)] }), world.root, '01')
  world.plug(
    endpoint({
      subsystem: { vendor: 0x8086, device: 0xa01f },
      revision: 3,
      bars: [MEMORY_BAR],
      more: [powerManagement()],
    }),
    world.root,
    '02',
  )
  world.plug(endpoint({ type: null, classCode: 0x030000 }), world.root, '03')
  world.plug(endpoint({ type: null, classCode: 0x030000 }), world.root, '04')
  world.scan()
  return world
}

describe('files of a function', () => {
  it('tell its identity as Linux prints it', () => {
    const world = machine()
    const read = (file: string): string => world.read(FN, file)
    expect(read('vendor')).toBe('0x8086\n')
    expect(read('device')).toBe('0x10d3\n')
    expect(read('subsystem_vendor')).toBe('0x8086\n')
    expect(read('subsystem_device')).toBe('0xa01f\n')
    expect(read('class')).toBe('0x020000\n')
    expect(read('revision')).toBe('0x03\n')
    expect(read('modalias')).toBe('pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00\n')
    expect(read('uevent')).toBe(
      [
        'PCI_CLASS=20000',
        'PCI_ID=8086:10D3',
        'PCI_SUBSYS_ID=8086:A01F',
        'PCI_SLOT_NAME=0000:00:02.0',
        'MODALIAS=pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00',
        '',
      ].join('\n'),
    )
    expect(world.read('0000:00:01.0', 'subsystem_device')).toBe('0x1100\n')
  })

  it('are there only where they make sense', () => {
    const world = machine()
    const has = (address: string): readonly string[] =>
      ['secondary_bus_number', 'boot_vga', 'max_link_speed', 'resource0'].filter((file) =>
        world.exists(address, file),
      )
    expect(has('0000:00:01.0')).toEqual(['secondary_bus_number', 'max_link_speed'])
    expect(has(FN)).toEqual(['max_link_speed', 'resource0'])
    expect(has('0000:00:03.0')).toEqual(['boot_vga'])
    expect(world.read('0000:00:03.0', 'boot_vga')).toBe('1\n')
    expect(world.read('0000:00:04.0', 'boot_vga')).toBe('0\n')
    expect(world.read(FN, 'max_link_speed')).toBe('2.5 GT/s PCIe\n')
    expect(world.read(FN, 'max_link_width')).toBe('1\n')
  })

  it('take nothing else for the second link capabilities, which version 1 does not have', () => {
    const world = machine()
    const { config } = world.device(FN).hardware
    const express = config.capability(0x10)
    config.poke(express + 2, 2, (config.read(express + 2, 2) & ~0xf) | 1)
    config.poke(express + 0x2c, 4, 0x003e)
    expect(world.read(FN, 'max_link_speed')).toBe('2.5 GT/s PCIe\n')
    config.poke(express + 2, 2, config.read(express + 2, 2) + 1)
    expect(world.read(FN, 'max_link_speed')).toBe('32.0 GT/s PCIe\n')
  })

  it('show a user 64 bytes of config space, and root all', () => {
    const world = machine()
    expect(world.read(FN, 'config', USER)).toHaveLength(64)
    expect(world.read(FN, 'config')).toHaveLength(4096)
    expect(world.read('0000:00:03.0', 'config')).toHaveLength(256)
  })

  it('let root write config space, as far as registers can be written', () => {
    const world = machine()
    world.write(FN, 'config', '\0\0\0\0\x06')
    const { config } = world.device(FN).hardware
    expect(config.read(0x00, 2)).toBe(0x8086)
    expect(config.read(0x04, 2)).toBe(0x0006)
    expect(() => world.write(FN, 'config', '\0', USER)).toThrow('EACCES')
  })

  it('enable and disable a function that has no driver', () => {
    const world = machine()
    const { config } = world.device(FN).hardware
    expect(() => world.write(FN, 'enable', '0')).toThrow('EIO')
    world.write(FN, 'enable', '1')
    world.write(FN, 'enable', '1')
    expect(world.read(FN, 'enable')).toBe('2\n')
    expect(world.read(FN, 'power_state')).toBe('D0\n')
    expect(config.read(0x04, 2) & 0x7).toBe(0x2)
    expect(() => world.write(FN, 'enable', 'no')).toThrow('EINVAL')
    const nobody = { uid: 0, capabilities: new Set(['CAP_DAC_OVERRIDE'] as const) }
    expect(() => world.write(FN, 'enable', '1', nobody)).toThrow('EPERM')
    world.driver('e1000e', [[0x8086, 0x10d3]])
    expect(() => world.write(FN, 'enable', '1')).toThrow('EBUSY')
  })

  it('keep small settings', () => {
    const world = machine()
    expect(world.read(FN, 'numa_node')).toBe('-1\n')
    world.write(FN, 'numa_node', '0')
    expect(world.read(FN, 'numa_node')).toBe('0\n')
    world.write(FN, 'numa_node', '-1\n')
    expect(world.read(FN, 'numa_node')).toBe('-1\n')
    expect(() => world.write(FN, 'numa_node', '7')).toThrow('EINVAL')
    world.write(FN, 'msi_bus', '0')
    expect(world.read(FN, 'msi_bus')).toBe('0\n')
    world.write(FN, 'broken_parity_status', '2')
    expect(world.read(FN, 'broken_parity_status')).toBe('1\n')
    expect(world.read('0000:00:03.0', 'd3cold_allowed')).toBe('0\n')
    expect(world.read(FN, 'd3cold_allowed')).toBe('1\n')
  })
})

describe('enabling a function', () => {
  it('enables the bridges above it, and they forward DMA', () => {
    const world = new World()
    const buses = { primary: 0, secondary: 1, subordinate: 1 }
    const port = world.plug(bridge(PCIE_TYPE.rootPort, { buses }), world.root, '01')
    world.plug(endpoint({ bars: [MEMORY_BAR] }), world.below(port), '00')
    world.scan()
    expect(port.config.read(0x04, 2)).toBe(0)
    enableDevice(world.device('0000:01:00.0'))
    expect(port.config.read(0x04, 2)).toBe(0x7)
    expect(world.read('0000:00:01.0', 'enable')).toBe('1\n')
  })
})

describe('power_state', () => {
  it('is unknown until a driver enables the function, and stays what it was when it left', () => {
    const world = machine()
    expect(world.read(FN, 'power_state')).toBe('unknown\n')
    world.driver('e1000e', [[0x8086, 0x10d3]], {
      // biome-ignore lint/correctness/useYield: a probe is a task
      *probe() {
        enableDevice(world.device(FN))
      },
    })
    expect(world.read(FN, 'power_state')).toBe('D0\n')
    world.writeFile('/bus/pci/drivers/e1000e/unbind', FN)
    expect(world.read(FN, 'power_state')).toBe('D0\n')
  })

  it('is D0 for whoever was woken, driver or not', () => {
    const world = machine()
    world.write(FN, 'power/control', 'auto')
    expect(world.read(FN, 'power/runtime_status')).toBe('suspended\n')
    expect(world.read(FN, 'power_state')).toBe('unknown\n')
    world.write(FN, 'power/control', 'on')
    expect(world.read(FN, 'power_state')).toBe('D0\n')
  })

  it('is only what the function can', () => {
    const world = machine()
    const device = world.device(FN)
    setPowerState(device, 'D3hot')
    expect(world.read(FN, 'power_state')).toBe('D3hot\n')
    expect(() => setPowerState(device, 'D1')).toThrow('EIO')
    expect(() => setPowerState(world.device('0000:00:03.0'), 'D3hot')).toThrow('EIO')
  })

  it('stays D0 under a driver that does not let go, whatever power/control says', () => {
    const world = machine()
    world.driver('wakeful', [[0x8086, 0x10d3]], {
      // biome-ignore lint/correctness/useYield: a probe is a task
      *probe(device) {
        enableDevice(world.device(device.name))
      },
    })
    world.write(FN, 'power/control', 'auto')
    expect(world.read(FN, 'power_state')).toBe('D0\n')
    expect(world.read(FN, 'power/runtime_status')).toBe('active\n')
  })

  it('follows runtime power management of a driver that lets go, registers kept', () => {
    const world = machine()
    const device = world.device(FN)
    world.driver('sleepy', [[0x8086, 0x10d3]], {
      // biome-ignore lint/correctness/useYield: a probe is a task
      *probe() {
        enableDevice(device)
        device.power.usageCount -= 1
        allow(device.power)
      },
      // biome-ignore lint/correctness/useYield: a remove is a task
      *remove() {
        device.power.usageCount += 1
      },
    })
    const address = device.hardware.config.read(0x10, 4)
    expect(world.read(FN, 'power/runtime_status')).toBe('suspended\n')
    expect(world.read(FN, 'power_state')).toBe('D3hot\n')
    world.write(FN, 'power/control', 'on')
    expect(world.read(FN, 'power_state')).toBe('D0\n')
    expect(device.hardware.config.read(0x10, 4)).toBe(address)
  })
})
