import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { describeSnapshot } from '../isolation/snapshot.case.ts'
import { kindsToAdd } from '../open/what-if.ts'
import { parseChanges } from './change-words.ts'
import { hostOf } from './host.case.ts'

const HOST = hostOf(
  describeSnapshot({
    functions: [
      { at: '0000:00:01.0', type: 4, classCode: 0x060400, group: '1' },
      { at: '0000:00:02.0', type: 4, classCode: 0x060400, group: '2' },
      { at: '0000:01:00.0', parent: '0000:00:01.0', group: '3' },
      { at: '0000:80:00.0', type: 4, classCode: 0x060400, group: '4' },
    ],
  }),
  { '0000:01:00.0': [{ kind: 'net', name: 'eth0' }] },
)

function changes(...args: readonly string[]): object {
  return parseChanges(args, HOST, kindsToAdd())
}

/** Code, message and hint of the refusal. */
function refusal(...args: readonly string[]): readonly [string, string, string] {
  try {
    changes(...args)
  } catch (error) {
    if (error instanceof IsogroupError) return [error.code, error.message, error.hint]
    throw error
  }
  return ['none', '', '']
}

describe('parseChanges()', () => {
  it('knows every change, with devices in all the forms that targets have', () => {
    expect(
      changes(
        ...[
          'acs=on@00:01.0',
          'acs=off@0000:00:02.0',
          'move',
          'eth0',
          '00:02.0',
          'remove',
          '01:00.0',
        ],
        ...['vfs', '01:00.0', '4', 'bind', '01:00.0', 'vfio-pci', 'bind', '01:00.0', 'none'],
        ...['kernel=6.1.0-38-amd64', 'intremap=off', 'iommu=on'],
      ),
    ).toEqual([
      { kind: 'acs', on: true, port: '0000:00:01.0' },
      { kind: 'acs', on: false, port: '0000:00:02.0' },
      { kind: 'move', device: '0000:01:00.0', port: '0000:00:02.0' },
      { kind: 'remove', device: '0000:01:00.0' },
      { kind: 'vfs', device: '0000:01:00.0', count: 4 },
      { kind: 'bind', device: '0000:01:00.0', driver: 'vfio-pci' },
      { kind: 'bind', device: '0000:01:00.0', driver: null },
      { kind: 'kernel', version: '6.1.0-38-amd64' },
      { kind: 'intremap', on: false },
      { kind: 'iommu', on: true },
    ])
  })

  it('takes words one by one or quoted together', () => {
    const apart = changes('move', '01:00.0', '00:02.0', 'intremap=off')
    expect(changes('move 01:00.0 00:02.0', 'intremap=off')).toEqual(apart)
    expect(changes(' move 01:00.0  00:02.0 intremap=off ')).toEqual(apart)
  })

  it('calls what is added new1, new2, ..., by our names of kinds or by those of QEMU', () => {
    expect(
      changes('add root-port 0000:80', 'add e1000e new1', 'bind new2 vfio-pci', 'acs=off@new1'),
    ).toEqual([
      { kind: 'add', what: 'root-port', port: '0000:80' },
      { kind: 'add', what: 'nic', port: 'new1' },
      { kind: 'bind', device: 'new2', driver: 'vfio-pci' },
      { kind: 'acs', on: false, port: 'new1' },
    ])
    expect(changes('add pcie-root-port pci0000:00')).toEqual([
      { kind: 'add', what: 'root-port', port: '0000:00' },
    ])
    expect(refusal('acs=on@new1')[1]).toBe('"new1" names nothing: nothing was added before it')
    expect(refusal('add nic 00:02.0 vfs new2 1')[1]).toBe(
      '"new2" names nothing: only new1 was added before it',
    )
  })

  it('refuses what is no change, and says what is', () => {
    expect(refusal()[1]).toBe('no change was given')
    expect(refusal(' ')[2]).toContain('changes are move DEVICE PORT')
    expect(refusal('remov 01:00.0')[1]).toBe('"remov" is no change; is "remove" meant?')
    expect(refusal('move', '01:00.0')[1]).toBe('"move" wants DEVICE and PORT after it')
    expect(refusal('acs=on')[1]).toBe('"acs=on" is no change: say acs=on@PORT or acs=off@PORT')
    expect(refusal('acs=on@')[1]).toBe('"acs=on@" is no change: say acs=on@PORT or acs=off@PORT')
    expect(refusal('intremap=yes')[1]).toContain('say intremap=on or intremap=off')
    expect(refusal('iommu=on@00:01.0')[1]).toContain('say iommu=on or iommu=off')
    expect(refusal('vfs 01:00.0 many')[1]).toContain('no number of virtual functions: 0 to 65535')
    expect(refusal('vfs 01:00.0 65536')[0]).toBe('usage')
    expect(refusal('add nic 0000:40')[1]).toBe(
      '"0000:40" is no root bus of test: it has 0000:00, 0000:80',
    )
    expect(refusal('acs=on@group:3')[1]).toBe(
      '"group:3" is no PCI function: changes are about functions and ports',
    )
  })

  it('refuses kernels that are none, or are older than groups', () => {
    expect(refusal('kernel=new')[1]).toBe('"kernel=new" is no kernel version')
    expect(refusal('kernel=3.5')[1]).toBe('"kernel=3.5": Linux has isolation groups since 3.6')
    expect(refusal('kernel=3.6')[0]).toBe('none')
  })

  it('refuses devices and kinds that are not there, and lists the kinds', () => {
    expect(refusal('remove 05:00.0')[0]).toBe('not-found')
    const [code, message, hint] = refusal('add nvmf 00:02.0')
    expect([code, message]).toEqual([
      'bad-change',
      'there is no kind of device "nvmf"; is "nvme" meant?',
    ])
    for (const { name } of kindsToAdd()) expect(hint).toContain(`\n    ${name} `)
  })
})
