import { describe, expect, it } from 'vitest'
import { fromHex } from '../../base/hex-bytes.ts'
import { decodeConfig } from '../../pci/config-decode.ts'
import { buildMachine } from './builder.ts'
import type { FunctionDescription, MachineDescription } from './description.ts'
import type { DeviceForm, MachineForm } from './machine-form.ts'

const PLAIN: DeviceForm = {
  kind: null,
  slot: null,
  functions: [],
  function: null,
  repeat: 1,
  acs: null,
  ids: null,
  driver: undefined,
  virtualFunctions: [],
  totalVfs: null,
  services: [],
  unit: null,
  partition: null,
  reserved: [],
  numaNode: null,
  below: [],
}

function device(kind: string, more: Partial<DeviceForm> = {}): DeviceForm {
  return { ...PLAIN, kind, ...more }
}

function machineWith(devices: readonly DeviceForm[], more: Partial<MachineForm> = {}): MachineForm {
  return {
    name: 'test',
    title: 'test',
    kernel: '6.12.117',
    commandLine: '',
    cpu: { vendor: 'GenuineIntel', flags: [] },
    memoryBytes: 2 ** 30,
    iommu: null,
    buses: [{ bus: '0000:00', unit: null, devices }],
    drivers: [],
    names: {},
    ...more,
  }
}

function addresses(machine: MachineDescription): readonly string[] {
  return machine.functions.map(({ at }) => at)
}

function busesOf(machine: MachineDescription, at: string): unknown {
  const fact = decodeConfig(fromHex(find(machine, at).config), true).buses
  return fact.known ? fact.value : null
}

function find(machine: MachineDescription, at: string): FunctionDescription {
  const found = machine.functions.find((fn) => fn.at === at)
  if (found === undefined) throw new Error(`no ${at}`)
  return found
}

describe('buildMachine()', () => {
  it('numbers buses depth first, as firmware does, and writes the numbers into the bridges', () => {
    const machine = buildMachine(
      machineWith([
        device('root-port', {
          below: [
            device('upstream-port', {
              below: [
                device('downstream-port', { below: [device('nic')] }),
                device('downstream-port'),
              ],
            }),
          ],
        }),
        device('root-port', { slot: 0x1c, below: [device('nvme')] }),
      ]),
    )
    expect(addresses(machine)).toEqual([
      '0000:00:00.0',
      '0000:01:00.0',
      '0000:02:00.0',
      '0000:03:00.0',
      '0000:02:01.0',
      '0000:00:1c.0',
      '0000:05:00.0',
    ])
    expect(busesOf(machine, '0000:00:00.0')).toEqual({ primary: 0, secondary: 1, subordinate: 4 })
    expect(busesOf(machine, '0000:02:01.0')).toEqual({ primary: 2, secondary: 4, subordinate: 4 })
    expect(find(machine, '0000:03:00.0').parent).toBe('0000:02:00.0')
  })

  it('sets the multifunction bit where a slot has several functions, and nowhere else', () => {
    const machine = buildMachine(
      machineWith([
        device('nic'),
        { ...PLAIN, functions: [device('nic'), device('nic', { function: 3 })] },
      ]),
    )
    const bits = machine.functions.map(({ config }) => (fromHex(config)[0x0e] ?? 0) >> 7)
    expect(addresses(machine)).toEqual(['0000:00:00.0', '0000:00:01.0', '0000:00:01.3'])
    expect(bits).toEqual([0, 1, 1])
  })

  it('repeats devices in successive slots and functions under successive numbers', () => {
    const machine = buildMachine(
      machineWith([{ ...PLAIN, repeat: 2, functions: [device('edu', { repeat: 3 })] }]),
    )
    expect(addresses(machine)).toEqual([
      ...['0000:00:00.0', '0000:00:00.1', '0000:00:00.2'],
      ...['0000:00:01.0', '0000:00:01.1', '0000:00:01.2'],
    ])
  })

  it('gives and takes ACS', () => {
    const machine = buildMachine(
      machineWith([
        device('root-port', { acs: false }),
        device('root-port'),
        device('nic', { acs: true }),
      ]),
    )
    const capabilities = machine.functions.map(({ config }) => {
      const { acs } = decodeConfig(fromHex(config), true)
      return acs.known && acs.value !== null
    })
    expect(capabilities).toEqual([false, true, true])
  })

  it('tells the units, endpoints and regions by address', () => {
    const machine = buildMachine(
      machineWith(
        [
          device('root-port', {
            unit: 'dmar1',
            partition: 7,
            below: [
              device('nic', {
                reserved: [{ start: '0x1000', end: '0x1fff', kind: 'direct' }],
              }),
            ],
          }),
        ],
        {
          iommu: {
            kind: 'intel',
            interruptRemapping: true,
            defaultDomain: 'DMA',
            units: [
              { name: 'dmar0', attributes: {} },
              { name: 'dmar1', attributes: {} },
            ],
          },
        },
      ),
    )
    expect(machine.iommu?.units.map(({ scope }) => scope)).toEqual([null, ['0000:00:00.0']])
    expect(machine.iommu?.partitions).toEqual([
      { pe: 7, functions: ['0000:00:00.0', '0000:01:00.0'] },
    ])
    expect(machine.iommu?.reserved).toEqual([
      { at: '0000:01:00.0', start: '0x1000', end: '0x1fff', kind: 'direct' },
    ])
    expect(machine.acpiTables).toContain('DMAR')
  })

  it.each([
    [device('toaster'), 'buses[0].devices[0].kind: found "toaster", wanted one of edu'],
    [device('nic', { below: [device('nic')] }), 'devices[0].below: found devices below "nic"'],
    [device('pci-nic', { acs: true }), 'devices[0].acs: found true for "nic"'],
    [device('nic', { totalVfs: 4 }), 'devices[0].totalVfs: found 4, wanted a function with SR-IOV'],
    [device('nic', { slot: 31, repeat: 2 }), 'found 32 as its slot'],
    [{ ...PLAIN, functions: [device('nic', { function: 1 })] }, 'found no function 0'],
    [{ ...PLAIN, functions: [device('nic', { repeat: 9 })] }, 'found function 8'],
  ])('refuses what no board could have: %#', (wrong, message) => {
    expect(() => buildMachine(machineWith([wrong]))).toThrow(message)
  })

  it('refuses more buses than there are numbers', () => {
    const eight = { ...PLAIN, repeat: 32, functions: [device('root-port', { repeat: 8 })] }
    expect(() => buildMachine(machineWith([eight]))).toThrow('buses: found more bridges')
  })

  it('refuses two devices in one slot, and a unit that does not exist', () => {
    const twice = machineWith([device('nic', { slot: 3 }), device('nic', { slot: 3 })])
    expect(() => buildMachine(twice)).toThrow('devices[1]: found slot 3, which is taken')
    const lost = machineWith([device('nic', { unit: 'dmar9' })], {
      iommu: { kind: 'intel', interruptRemapping: true, defaultDomain: 'DMA', units: [] },
    })
    expect(() => buildMachine(lost)).toThrow('devices[0].unit: found "dmar9"')
  })
})
