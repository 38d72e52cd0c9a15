import { describe, expect, it } from 'vitest'
import type { DeviceUsage } from '../isolation/live-host.ts'
import { type Fact, known } from '../base/fact.ts'
import { readUsage } from '../linux/usage/usage.ts'
import type { MachineText } from './machine-text.ts'
import { openModel } from './model.ts'

async function usesOf(
  machine: string | MachineText,
  addresses: readonly string[],
): Promise<readonly DeviceUsage[]> {
  const { kernel } = await openModel(machine)
  return readUsage(kernel, addresses, { sshConnection: null, holdersOf: () => () => known([]) })
}

function valuesOf<T>(fact: Fact<T> | undefined): T {
  if (fact?.known !== true) throw new Error(JSON.stringify(fact))
  return fact.value
}

describe('what the host of a built-in machine does with its devices', () => {
  it('desktop: the system is on the NVMe disk, the network card has the route, the card shows the screen', async () => {
    const addresses = [
      '0000:02:00.0',
      '0000:03:00.0',
      '0000:01:00.0',
      '0000:00:14.0',
      '0000:00:1f.2',
    ]
    const [disk, nic, gpu, usb, sata] = await usesOf('desktop', addresses)
    expect(valuesOf(disk?.disks)).toEqual([
      { name: 'nvme0n1p1', use: 'boot', detail: '/boot/efi' },
      { name: 'nvme0n1p2', use: 'root', detail: '/' },
      { name: 'nvme0n1p3', use: 'swap', detail: '/dev/nvme0n1p3' },
    ])
    expect(valuesOf(nic?.networks).map(({ use }) => use)).toEqual(['address', 'default', 'route'])
    expect(valuesOf(nic?.logins)).toEqual({ here: ['eth0'], elsewhere: [] })
    expect(valuesOf(gpu?.displays)).toEqual([{ use: 'boot-display', name: '0000:01:00.0' }])
    expect(valuesOf(usb?.keyboards)).toEqual({ here: ['event3'], elsewhere: [] })
    expect(valuesOf(sata?.disks)).toEqual([])
  })

  it('laptop: the system is on LVM', async () => {
    const [disk] = await usesOf('laptop', ['0000:02:00.0'])
    expect(valuesOf(disk?.disks)).toEqual([
      { name: 'nvme0n1p1', use: 'boot', detail: '/boot' },
      { name: 'nvme0n1p2', use: 'holder', detail: 'dm-0 (vg-root, LVM)' },
      { name: 'nvme0n1p2', use: 'root', detail: '/ (through dm-0 (vg-root, LVM))' },
    ])
  })

  it('server-sriov: somebody is logged in by the second card, and the first has virtual functions', async () => {
    const [first, second] = await usesOf('server-sriov', ['0000:01:00.0', '0000:82:00.0'])
    expect(valuesOf(first?.virtualFunctions)).toHaveLength(6)
    expect(valuesOf(second?.networks).map(({ use }) => use)).toContain('login')
  })
})

describe('uses of a machine described by a program', () => {
  const machine: MachineText = {
    iommu: { kind: 'intel' },
    buses: [
      {
        devices: [
          { kind: 'host-bridge' },
          { kind: 'root-port', below: [{ kind: 'nic', services: ['net eth0'] }] },
        ],
      },
    ],
    uses: { interfaces: ['br0 10.0.0.2/8 10.0.0.1'], bridges: ['br0 eth0'], ssh: ['10.9.9.9'] },
  }

  it('reach through bridges to the card', async () => {
    const [nic] = await usesOf(machine, ['0000:01:00.0'])
    expect(valuesOf(nic?.networks).map(({ use, detail }) => `${use} ${detail}`)).toEqual([
      'port bridge br0',
      'address 10.0.0.2 (through br0)',
      'default default (through br0)',
      'route 10.0.0.0/8 (through br0)',
      'login from 10.9.9.9, which may be yours (through br0)',
    ])
  })

  it('go with the interface when its driver goes', async () => {
    const { kernel } = await openModel('desktop')
    const route = (): string => kernel.text('/proc/net/route')
    expect(route()).toContain('eth0')
    const bytes = new TextEncoder().encode('0000:03:00.0')
    await kernel.write('/sys/bus/pci/devices/0000:03:00.0/driver/unbind', bytes, 1000)
    expect(route()).not.toContain('eth0')
  })

  it('are refused when they are malformed, with the place', async () => {
    const bad = async (uses: NonNullable<MachineText['uses']>): Promise<string> =>
      openModel({ ...machine, uses }).then(
        () => 'accepted',
        (error: unknown) => String(error),
      )
    expect(await bad({ mounts: ['nvme0n1p2 /'] })).toContain('uses.mounts[0]')
    expect(await bad({ interfaces: ['eth0 10.0.0.1'] })).toContain('uses.interfaces[0]')
    expect(await bad({ interfaces: ['eth0 10.0.0.1/64'] })).toContain('at most 32')
    expect(await bad({ ssh: ['somebody'] })).toContain('uses.ssh[0]')
    expect(await bad(JSON.parse('{"mount":[]}') as object)).toContain('uses.mount')
    expect(await bad({ bridges: ['br0'] })).toContain('uses.bridges[0]')
    expect(await bad({ swaps: ['a b'] })).toContain('uses.swaps[0]')
    expect(await bad({ holders: ['dm-0 x'] })).toContain('uses.holders[0]')
  })
})
