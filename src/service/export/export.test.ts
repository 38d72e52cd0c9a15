import { describe, expect, it } from 'vitest'
import { known, unknown } from '../../base/fact.ts'
import type { HostSnapshot } from '../../isolation/host.ts'
import type { DeviceUsage, DiskUse } from '../../isolation/live-host.ts'
import { type DescribedFunction, describeSnapshot } from '../../isolation/snapshot.case.ts'
import { cdiText } from './cdi.ts'
import { devicePathPattern } from './device-path.ts'
import type { ExportedGroup } from './exported-group.ts'
import { libvirtText } from './libvirt.ts'
import { modprobeText } from './modprobe.ts'
import { checkPersistence, persistenceNotes } from './persistence.ts'
import { guestPorts } from './placement.ts'
import { qemuText } from './qemu.ts'
import { udevText } from './udev.ts'

const PORT = { at: '0000:00:01.0', type: 4, group: '2', driver: 'pcieport' } as const
const GPU: DescribedFunction = {
  at: '0000:01:00.0',
  parent: '0000:00:01.0',
  ids: '10de:1b80',
  subsystem: '1462:3362',
  group: '2',
}
const SOUND: DescribedFunction = { ...GPU, at: '0000:01:00.1', ids: '10de:10f0' }

function snapshotOf(...functions: readonly DescribedFunction[]): HostSnapshot {
  return describeSnapshot({ functions: [PORT, ...functions] })
}

/** A group of all functions but the port. */
function groupOf(
  snapshot: HostSnapshot,
  drivers: Readonly<Record<string, string>> = {},
): ExportedGroup {
  return {
    group: '2',
    driver: 'vfio-pci',
    devices: snapshot.functions
      .filter(({ address }) => address !== PORT.at)
      .map((fn) => ({ fn, homeDriver: drivers[fn.address] ?? null })),
  }
}

const CARD = snapshotOf(GPU, SOUND)

describe('places in the guest', () => {
  it('keep the functions of one card together, function 0 first', () => {
    const [port, ...more] = guestPorts([groupOf(CARD)])
    expect(more).toEqual([])
    expect(port?.kind).toBe('express')
    expect(
      port?.slots.map(({ functions }) => functions.map((it) => [it.function, it.multifunction])),
    ).toEqual([
      [
        [0, true],
        [1, false],
      ],
    ])
  })

  it('have a function 0 even when the group lacks it', () => {
    const [port] = guestPorts([
      groupOf(snapshotOf({ ...GPU, at: '0000:01:00.2' }, { ...GPU, at: '0000:01:00.5' })),
    ])
    expect(port?.slots[0]?.functions.map((it) => it.function)).toEqual([0, 5])
  })

  it('give every virtual function a port of its own', () => {
    const physicalFunction = '0000:01:00.0'
    const vfs = ['0000:01:10.0', '0000:01:10.1'].map((at) => ({ ...GPU, at, physicalFunction }))
    const ports = guestPorts([groupOf(snapshotOf(...vfs))])
    expect(ports.length).toBe(2)
    expect(
      ports
        .flatMap(({ slots }) => slots.flatMap(({ functions }) => functions))
        .map((it) => it.function),
    ).toEqual([0, 0])
  })

  it('put conventional PCI devices into slots of one bridge', () => {
    const four = ['01:04.0', '01:05.0', '01:06.0', '01:06.1'].map((at) => ({
      ...GPU,
      at: `0000:${at}`,
      type: null,
    }))
    const ports = guestPorts([groupOf(snapshotOf(...four))])
    expect(
      ports.map(({ kind, slots }) => [
        kind,
        slots.map(({ slot, functions }) => [slot, functions.length]),
      ]),
    ).toEqual([
      [
        'pci',
        [
          [1, 1],
          [2, 1],
          [3, 2],
        ],
      ],
    ])
  })

  it('take a second bridge when one is full', () => {
    const many = Array.from({ length: 40 }, (_, index) => {
      const bus = index < 20 ? '01' : '02'
      return {
        ...GPU,
        at: `0000:${bus}:${(index % 20).toString(16).padStart(2, '0')}.0`,
        type: null,
      }
    })
    expect(guestPorts([groupOf(snapshotOf(...many))]).map(({ slots }) => slots.length)).toEqual([
      31, 9,
    ])
  })
})

describe('export qemu', () => {
  it('places a card on a port of its own', () => {
    expect(qemuText([groupOf(CARD)]).text).toBe(
      `-device pcie-root-port,id=isogroup1,chassis=101 \\
-device vfio-pci,host=0000:01:00.0,bus=isogroup1,addr=00.0,multifunction=on \\
-device vfio-pci,host=0000:01:00.1,bus=isogroup1,addr=00.1
`,
    )
  })

  it('places conventional devices behind a bridge, at hexadecimal slots', () => {
    const cards = Array.from({ length: 11 }, (_, index) => ({
      ...GPU,
      at: `0000:01:${index.toString(16).padStart(2, '0')}.0`,
      type: null,
    }))
    const lines = qemuText([groupOf(snapshotOf(...cards))]).text.split('\n')
    expect(lines[1]).toBe('-device pcie-pci-bridge,id=isogroup1pci,bus=isogroup1 \\')
    expect(lines[2]).toContain('bus=isogroup1pci,addr=01.0')
    expect(lines[11]).toContain('addr=0a.0')
  })
})

describe('export libvirt', () => {
  const { text } = libvirtText([groupOf(CARD)])

  it('leaves binding to the claim', () => {
    expect(text.match(/<hostdev mode='subsystem' type='pci' managed='no'>/g)?.length).toBe(2)
  })

  it('names the functions of the host and keeps them one card in the guest', () => {
    expect(text).toContain("    <address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/>")
    expect(text).toContain("function='0x0' multifunction='on'/>")
    expect(text.match(/<address type='pci' domain='0x0000' bus='0x20'/g)?.length).toBe(2)
  })

  it('lets libvirt place what is alone', () => {
    expect(libvirtText([groupOf(snapshotOf(GPU))]).text).not.toContain("<address type='pci'")
  })

  it('closes every element that it opens', () => {
    const open: string[] = []
    for (const [, end, name = '', empty] of text.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (end === '/') expect(open.pop()).toBe(name)
      else if (empty === '') open.push(name)
    }
    expect(open).toEqual([])
  })
})

describe('export cdi', () => {
  const spec = JSON.parse(cdiText([groupOf(CARD)]).text) as Record<string, unknown>

  it('is a specification of version 0.6 or later with the members it needs, and no others', () => {
    expect(Object.keys(spec)).toEqual(['cdiVersion', 'kind', 'devices', 'containerEdits'])
    expect(spec['cdiVersion']).toMatch(/^\d+\.([6-9]|\d\d)\.\d+$/)
    expect(spec['kind']).toMatch(
      /^[A-Za-z][A-Za-z0-9.-]*[A-Za-z0-9]\/[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]$/,
    )
  })

  it('gives the node of the group with the device, and the control node with any', () => {
    expect(spec['devices']).toEqual([
      {
        name: 'group-0000-01-00.0',
        annotations: { 'isogroup/members': '0000:01:00.0,0000:01:00.1' },
        containerEdits: { deviceNodes: [{ path: '/dev/vfio/2', permissions: 'rw' }] },
      },
    ])
    expect(spec['containerEdits']).toEqual({
      deviceNodes: [{ path: '/dev/vfio/vfio', permissions: 'rw' }],
    })
  })
})

describe('the path of a device', () => {
  const deep = describeSnapshot({
    functions: [
      { at: '0000:00:0e.0' },
      { at: '10000:e0:06.0', type: 4 },
      { at: '10000:e1:00.0', parent: '10000:e0:06.0' },
      { at: '0000:80:01.0', type: 4 },
      { at: '0000:81:00.0', parent: '0000:80:01.0', type: 5 },
      { at: '0000:82:03.0', parent: '0000:81:00.0', type: 6 },
      { at: '0000:83:00.1', parent: '0000:82:03.0' },
    ],
    hostedBuses: [{ bus: '10000:e0', host: '0000:00:0e.0' }],
  })
  const pathOf = (address: string, snapshot = deep): string => {
    const fn = snapshot.functions.find((it) => it.address === address)
    if (fn === undefined) throw new Error(address)
    return devicePathPattern(fn, snapshot)
  }

  it('leaves the numbers of all buses but the root open', () => {
    expect(pathOf('0000:83:00.1')).toBe(
      '/devices/pci0000:80/0000:80:01.0/0000:??:00.0/0000:??:03.0/0000:??:00.1',
    )
    expect(pathOf('0000:80:01.0')).toBe('/devices/pci0000:80/0000:80:01.0')
  })

  it('leads through the function that hosts a bus', () => {
    expect(pathOf('10000:e1:00.0')).toBe(
      '/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:??:00.0',
    )
  })

  it('is refused when a bridge above is missing or the tree has a circle', () => {
    const broken = describeSnapshot({
      functions: [
        { at: '0000:01:00.0', parent: '0000:00:01.0' },
        { at: '0000:02:00.0', parent: '0000:03:00.0' },
        { at: '0000:03:00.0', parent: '0000:02:00.0' },
      ],
    })
    expect(() => pathOf('0000:01:00.0', broken)).toThrow('the bridges above it are not all known')
    expect(() => pathOf('0000:02:00.0', broken)).toThrow('the bridges above it are not all known')
  })
})

describe('export udev', () => {
  const { text, path } = udevText([groupOf(CARD)], CARD)

  it('matches ids, subsystem and place of each device, and writes driver_override', () => {
    expect(text).toContain(
      `ACTION=="add", SUBSYSTEM=="pci", DEVPATH=="/devices/pci0000:00/0000:00:01.0/0000:??:00.1", ATTR{vendor}=="0x10de", ATTR{device}=="0x10f0", ATTR{subsystem_vendor}=="0x1462", ATTR{subsystem_device}=="0x3362", \\\n  ATTR{driver_override}="vfio-pci", ATTR{[subsystem/pci]drivers_probe}="$kernel", RUN{builtin}+="kmod load vfio-pci"\n`,
    )
    expect(path).toBe('/etc/udev/rules.d/05-isogroup-0000-01-00.0.rules')
  })

  it('never unbinds and never runs a shell', () => {
    expect(text).not.toMatch(/unbind|PROGRAM|RUN\+=|sh -c/)
  })

  it('is refused when the ids are not known', () => {
    const odd = snapshotOf({ ...GPU, ids: null })
    expect(() => udevText([groupOf(odd)], odd)).toThrow('its ids are not all known')
  })

  it('cannot be broken out of by the name of a device', () => {
    const fns = CARD.functions.map((fn) => ({ ...fn, name: 'x\nRUN+="/bin/evil"\u2028' }))
    const odd = { ...CARD, functions: fns }
    const lines = udevText([groupOf(odd)], odd).text.split('\n')
    expect(
      lines.filter((line) => line.includes('evil')).every((line) => line.startsWith('# ')),
    ).toBe(true)
  })
})

describe('export modprobe', () => {
  const drivers = { '0000:01:00.0': 'nvidia', '0000:01:00.1': 'snd_hda_intel' }

  it('gives vfio-pci the ids and makes the modules of the devices wait', () => {
    const { text, path } = modprobeText([groupOf(CARD, drivers)], CARD)
    expect(text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
      'options vfio-pci ids=10de:1b80:1462:3362,10de:10f0:1462:3362',
      'softdep nvidia pre: vfio-pci',
      'softdep snd_hda_intel pre: vfio-pci',
    ])
    expect(path).toBe('/etc/modprobe.d/isogroup.conf')
  })

  it('names modules, not drivers', () => {
    const usb = snapshotOf(GPU)
    const { text } = modprobeText([groupOf(usb, { '0000:01:00.0': 'xhci_hcd' })], usb)
    expect(text).toContain('softdep xhci_pci pre: vfio-pci')
  })

  it('is refused when another device has the same ids, or may have', () => {
    for (const twin of [{}, { ids: null }, { subsystem: '1462:3362' }]) {
      const two = snapshotOf(GPU, { ...GPU, at: '0000:05:00.0', group: '9', ...twin })
      const group = { ...groupOf(two), devices: groupOf(two).devices.slice(0, 1) }
      expect(() => modprobeText([group], two)).toThrow('0000:05:00.0 has the ids of 0000:01:00.0')
    }
    const other = snapshotOf(GPU, {
      ...GPU,
      at: '0000:05:00.0',
      group: '9',
      subsystem: '1462:3363',
    })
    const group = { ...groupOf(other), devices: groupOf(other).devices.slice(0, 1) }
    expect(modprobeText([group], other).text).toContain('ids=10de:1b80:1462:3362\n')
  })

  it('is refused for drivers that take no ids', () => {
    const group = { ...groupOf(CARD), driver: 'mlx5_vfio_pci' }
    expect(() => modprobeText([group], CARD)).toThrow('mlx5_vfio_pci takes no ids')
  })
})

describe('persistence', () => {
  const usageOf = (disks: DeviceUsage['disks']): DeviceUsage => ({
    address: '0000:02:00.0',
    disks,
    networks: known([{ name: 'eth0', use: 'up', detail: '' }]),
    displays: unknown('not read'),
    keyboards: known({ here: [], elsewhere: [] }),
    logins: known({ here: [], elsewhere: [] }),
    programs: known([]),
    virtualFunctions: known([]),
  })
  const disk = (use: DiskUse['use']): DeviceUsage =>
    usageOf(known([{ name: 'nvme0n1p2', use, detail: '/' }]))

  it('is refused for every device whose disk the host needs in order to come up', () => {
    for (const use of ['root', 'boot', 'mount', 'swap', 'holder', 'zfs', 'open'] as const) {
      expect(() => {
        checkPersistence([disk(use)])
      }).toThrow(/the host may need 0000:02:00.0 in order to come up: nvme0n1p2 /)
    }
  })

  it('is refused when nobody can tell', () => {
    expect(() => {
      checkPersistence([usageOf(unknown('/proc/self/mountinfo: no permission'))])
    }).toThrow('whether the host boots from it is unknown: /proc/self/mountinfo')
  })

  it('is given otherwise, with what will be missing', () => {
    const usage = [usageOf(known([]))]
    checkPersistence(usage)
    expect(persistenceNotes(usage)).toEqual([
      '0000:02:00.0: network interface eth0 will be missing',
      '0000:02:00.0: its displays are unknown: not read',
    ])
  })
})
