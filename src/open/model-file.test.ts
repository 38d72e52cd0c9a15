import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { parseModel } from './model-file.ts'

const SMALLEST = {
  format: 'isogroup-model',
  version: 1,
  name: 'small',
  title: 'a board',
  buses: [{ devices: [{ kind: 'edu' }] }],
}

function messageOf(json: unknown): string {
  try {
    parseModel(json)
    return 'no complaint'
  } catch (cause) {
    if (cause instanceof IsogroupError) return `${cause.code}: ${cause.message}`
    throw cause
  }
}

function withDevice(device: unknown): unknown {
  return { ...SMALLEST, buses: [{ devices: [device] }] }
}

describe('parseModel()', () => {
  it('fills in what is left out', () => {
    const { form, expected } = parseModel(SMALLEST)
    expect(expected).toEqual([])
    expect(form).toMatchObject({
      kernel: '6.12.117+deb12-amd64',
      cpu: { vendor: 'GenuineIntel', flags: ['lm', 'vmx'] },
      memoryBytes: 16 * 2 ** 30,
      iommu: null,
    })
    expect(form.buses[0]).toMatchObject({ bus: '0000:00', unit: null })
    expect(form.buses[0]?.devices[0]).toMatchObject({
      kind: 'edu',
      slot: null,
      repeat: 1,
      acs: null,
    })
  })

  it('tells the kernel what its IOMMU needs to hear', () => {
    const commandLine = (iommu: unknown): string =>
      parseModel({ ...SMALLEST, iommu }).form.commandLine
    expect(commandLine({ kind: 'intel' })).toMatch(/ intel_iommu=on$/)
    expect(commandLine({ kind: 'amd' })).not.toContain('iommu')
    expect(commandLine({ kind: 'amd', interruptRemapping: false })).toMatch(/ intremap=off$/)
    expect(commandLine({ kind: 'intel', defaultDomain: 'identity' })).toMatch(/ iommu=pt$/)
    expect(commandLine({ kind: 'intel', defaultDomain: 'DMA' })).toMatch(/ iommu.strict=1$/)
    expect(parseModel({ ...SMALLEST, iommu: { kind: 'gart' } }).form.cpu.vendor).toBe(
      'AuthenticAMD',
    )
  })

  it('reads every member of a function', () => {
    const { form } = parseModel(
      withDevice({
        slot: '1c',
        functions: [
          {
            ...{ kind: 'sriov-nic', function: 2, repeat: 3, acs: true, ids: '8086:10c9' },
            ...{ driver: null, virtualFunctions: ['vfio-pci', null], totalVfs: 16 },
            ...{ services: ['net eth0'], unit: 'dmar0', partition: 5, numaNode: 1 },
            reserved: [{ start: '0x1000', end: '0x1fff', kind: 'direct' }],
            below: [{ kind: 'edu' }],
          },
        ],
      }),
    )
    const device = form.buses[0]?.devices[0]
    expect(device).toMatchObject({ slot: 0x1c, kind: null })
    expect(device?.functions[0]).toMatchObject({
      ...{ kind: 'sriov-nic', function: 2, repeat: 3, acs: true, driver: null, totalVfs: 16 },
      ids: { vendor: 0x8086, device: 0x10c9 },
      virtualFunctions: ['vfio-pci', null],
      services: [{ class: 'net', name: 'eth0' }],
      ...{ unit: 'dmar0', partition: 5, numaNode: 1 },
      reserved: [{ start: '0x1000', end: '0x1fff', kind: 'direct' }],
    })
    expect(device?.functions[0]?.below).toHaveLength(1)
    const several = parseModel(withDevice({ kind: 'sriov-nic', virtualFunctions: 2 })).form
    expect(several.buses[0]?.devices[0]?.virtualFunctions).toEqual([undefined, undefined])
  })

  it.each([
    [{ ...SMALLEST, format: 'isogroup-machine' }, 'format: expected "isogroup-model"'],
    [{ ...SMALLEST, version: 2 }, 'newer-version: this machine file has version 2'],
    [{ ...SMALLEST, memroy: '1 GiB' }, 'memroy: expected no member of this name'],
    [
      { ...SMALLEST, memory: 'a lot' },
      'memory: expected an amount such as "16 GiB", found "a lot"',
    ],
    [{ ...SMALLEST, iommu: { kind: 'arm' } }, 'iommu.kind: expected "intel" or "amd" or "power"'],
    [{ ...SMALLEST, buses: undefined }, 'buses: expected a list, found nothing'],
    [withDevice({}), 'buses[0].devices[0].kind: expected a text, found nothing'],
    [
      withDevice({ kind: 'edu', slot: 3 }),
      'buses[0].devices[0].slot: expected 2 hexadecimal digits',
    ],
    [withDevice({ kind: 'edu', repeat: 1e9 }), 'repeat: expected a whole number from 0 to 32'],
    [
      withDevice({ functions: [], kind: 'edu' }),
      'devices[0].kind: expected no member of this name',
    ],
    [
      withDevice({ kind: 'edu', below: [{ kind: 'nic', ids: '8086' }] }),
      'buses[0].devices[0].below[0].ids: expected ids such as "8086:10d3", found "8086"',
    ],
    [
      withDevice({ kind: 'nic', services: ['eth0'] }),
      'services[0]: expected class and name such as "net eth0"',
    ],
  ])('names the place, the value and what was wanted: %#', (json, message) => {
    expect(messageOf(json)).toContain(message)
  })

  it('never fails otherwise, whatever the document', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        expect(messageOf(json)).toMatch(/^bad-machine: /)
        expect(messageOf(withDevice(json))).toMatch(/^(?:bad-machine: |no complaint)/)
      }),
    )
  })
})
