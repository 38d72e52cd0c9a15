import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { known, unknown } from '../base/fact.ts'
import type { HostSnapshot } from '../isolation/host.ts'
import { describeSnapshot } from '../isolation/snapshot.case.ts'
import { hostOf } from './host.case.ts'
import { type Target, resolveTarget } from './target.ts'

const SNAPSHOT: HostSnapshot = {
  ...describeSnapshot({
    functions: [
      { at: '0000:00:02.0', ids: '8086:5917', group: '0' },
      { at: '0000:01:00.0', ids: '10de:1b80', group: '13' },
      { at: '0000:01:00.1', ids: '10de:10f0', group: '13' },
      { at: '0000:02:00.0', ids: '8086:10d3', group: '14' },
      { at: '0000:03:00.0', ids: '8086:10d3', group: '15' },
      { at: '10000:e1:00.0', ids: '144d:a80a', group: '16' },
    ],
  }),
  otherDevices: [{ name: 'INTC1006:00', bus: known('platform'), driver: known(null), group: '16' }],
}

const HOST = hostOf(SNAPSHOT, {
  '0000:02:00.0': [{ kind: 'net', name: 'eth0' }],
  '0000:01:00.0': [{ kind: 'drm', name: 'card0' }],
  '10000:e1:00.0': [{ kind: 'block', name: 'nvme0n1' }],
})

function resolve(text: string): Target {
  return resolveTarget(text, HOST, SNAPSHOT)
}

function shown(target: Target): string {
  if (target.kind === 'group') return `group ${target.id}`
  return target.kind === 'device' ? target.fn.address : target.device.name
}

function failure(text: string): IsogroupError {
  try {
    resolve(text)
  } catch (error) {
    if (error instanceof IsogroupError) return error
    throw error
  }
  throw new Error(`${text} was found`)
}

describe('resolveTarget finds', () => {
  const forms: readonly (readonly [string, string])[] = [
    ['0000:01:00.0', '0000:01:00.0'],
    ['01:00.0', '0000:01:00.0'],
    ['1:0.1', '0000:01:00.1'],
    ['10000:E1:00.0', '10000:e1:00.0'],
    ['pci_0000_01_00_0', '0000:01:00.0'],
    ['10de:1b80', '0000:01:00.0'],
    ['10DE:1B80', '0000:01:00.0'],
    ['eth0', '0000:02:00.0'],
    ['card0', '0000:01:00.0'],
    ['nvme0n1', '10000:e1:00.0'],
    ['/dev/nvme0n1', '10000:e1:00.0'],
    ['/dev/dri/card0', '0000:01:00.0'],
    ['/sys/bus/pci/devices/0000:01:00.1', '0000:01:00.1'],
    ['/sys/devices/pci0000:00/0000:00:1c.0/0000:02:00.0/net/eth0/', '0000:02:00.0'],
    ['/sys/class/net/eth0', '0000:02:00.0'],
    ['INTC1006:00', 'INTC1006:00'],
    ['group:13', 'group 13'],
    ['13', 'group 13'],
    ['/sys/kernel/iommu_groups/13', 'group 13'],
    ['/dev/vfio/13', 'group 13'],
  ]
  for (const [text, wanted] of forms) {
    it(`${text} as ${wanted}`, () => {
      expect(shown(resolve(text))).toBe(wanted)
    })
  }
})

describe('resolveTarget refuses', () => {
  it('ids that several devices have, and lists them', () => {
    const { code, hint } = failure('8086:10d3')
    expect(code).toBe('ambiguous')
    expect(hint).toContain('0000:02:00.0, 0000:03:00.0')
  })

  const missing: readonly (readonly [text: string, hint: string])[] = [
    ['01:00.7', 'nearest: 0000:01:00.0, 0000:01:00.1'],
    ['e1:00.0', 'nearest: 10000:e1:00.0'],
    ['eth1', 'nearest: eth0'],
    ['nvme0', 'nearest: nvme0n1'],
    ['10de:1b81', 'nearest: 10de:1b80, 10de:10f0'],
    ['group:99', 'it has 0 to 16: isogroup ls'],
    ['gibberish-of-some-length', '`isogroup ls` lists all devices'],
    ['', '`isogroup ls` lists all devices'],
    ['/', '`isogroup ls` lists all devices'],
  ]
  for (const [text, hint] of missing) {
    it(`"${text}", with the nearest candidates`, () => {
      const error = failure(text)
      expect(error.code).toBe('not-found')
      expect(error.hint).toBe(hint)
    })
  }

  it('a group where groups are unknown, and says why', () => {
    const snapshot = { ...SNAPSHOT, groups: unknown('the text has no group lines') }
    expect(() => resolveTarget('13', hostOf(snapshot), snapshot)).toThrow(
      'no group 13: the groups of test are unknown: the text has no group lines',
    )
  })

  it('a service name where services are unknown, and says why', () => {
    const host = hostOf(SNAPSHOT)
    const blind = {
      ...host,
      details: (addresses: readonly string[]) =>
        host.details(addresses).map((it) => ({ ...it, services: unknown('not in the text') })),
    }
    expect(() => resolveTarget('enp3s0', blind, SNAPSHOT)).toThrow('unknown: not in the text')
  })
})
