import { mkdirSync, rmSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import type { Host, PciFunction } from '../isolation/host.ts'
import { nativeKernel } from '../kernel/native/native-kernel.ts'
import { parseReserved } from './groups.ts'
import { linuxHost } from './linux-host.ts'
import { sampleTree, type TreeFiles, writeTree } from './tree.case.ts'

const roots: string[] = []
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true })
})

function hostOf(tree: TreeFiles): Host {
  const root = writeTree(tree)
  roots.push(root)
  return linuxHost(nativeKernel(root), 'a test tree')
}

function functionOf(host: Host, address: string): PciFunction {
  const found = host.snapshot().functions.find((fn) => fn.address === address)
  if (found === undefined) throw new Error(`${address} is missing`)
  return found
}

describe('linuxHost() snapshot', () => {
  const host = hostOf(sampleTree())
  const snapshot = host.snapshot()

  it('lists functions by address with ids, class, driver and names', () => {
    expect(snapshot.functions.map((fn) => fn.address)).toEqual([
      '0000:00:01.0',
      '0000:00:0e.0',
      '0000:01:00.0',
      '0000:01:10.0',
      '10000:e0:06.0',
      '10000:e1:00.0',
    ])
    expect(functionOf(host, '0000:01:00.0')).toMatchObject({
      parent: '0000:00:01.0',
      vendor: known(0x8086),
      device: known(0x1521),
      classCode: known(0x020000),
      subsystem: known({ vendor: 0x8086, device: 0x00a2 }),
      driver: known('igb'),
      group: known('10'),
      name: 'Intel Corporation I350 Gigabit Network Connection',
      className: 'Ethernet controller',
      revision: known(1),
      resetMethods: known(['flr', 'pm', 'bus']),
    })
    expect(functionOf(host, '0000:01:10.0').driver).toEqual(known(null))
  })

  it('finds virtual functions and buses hosted by VMD', () => {
    expect(functionOf(host, '0000:01:10.0').physicalFunction).toEqual(known('0000:01:00.0'))
    expect(functionOf(host, '0000:01:00.0').physicalFunction).toEqual(known(null))
    expect(snapshot.hostedBuses).toEqual([{ bus: '10000:e0', host: '0000:00:0e.0' }])
    expect(functionOf(host, '10000:e0:06.0').parent).toBeNull()
    expect(functionOf(host, '10000:e1:00.0').parent).toBe('10000:e0:06.0')
  })

  it('reads groups in order of number, with devices that are no PCI functions', () => {
    const groups = snapshot.groups.known ? snapshot.groups.value : []
    expect(groups.map((group) => group.id)).toEqual(['0', '2', '10'])
    expect(groups[2]).toMatchObject({
      members: ['0000:01:00.0', '0000:01:10.0', 'INTC1055:00'],
      type: known('DMA-FQ'),
      name: known(null),
      reserved: known([{ start: '0x00000000fee00000', end: '0x00000000feefffff', kind: 'msi' }]),
    })
    expect(snapshot.otherDevices.map((device) => device.name)).toEqual(['INTC1055:00'])
  })

  it('finds the same members through the units that list their devices', () => {
    const tree = sampleTree()
    const links: Record<string, string> = { ...tree.links }
    const members = Object.keys(links).filter((path) => path.includes('iommu_groups'))
    for (const path of members) {
      const [, id = '', name = ''] = /iommu_groups\/(\d+)\/devices\/(.+)$/.exec(path) ?? []
      const link = links[`/sys/bus/pci/devices/${name}`]
      const dir = link === undefined ? `/sys/devices/platform/${name}` : devicePath(link)
      links[`/sys/class/iommu/dmar10/devices/${name}`] = `../../../../..${dir}`
      links[`${dir}/iommu_group`] = `../../../kernel/iommu_groups/${id}`
    }
    const root = writeTree({ files: tree.files, links })
    roots.push(root)
    mkdirSync(`${root}/sys/class/iommu/dmar2/devices`, { recursive: true })
    const through = linuxHost(nativeKernel(root), 'a test tree').snapshot()
    expect(JSON.stringify(through.groups)).toBe(JSON.stringify(snapshot.groups))
    expect(JSON.stringify(through.otherDevices)).toBe(JSON.stringify(snapshot.otherDevices))
    expect(JSON.stringify(through.functions)).toBe(JSON.stringify(snapshot.functions))
  })

  it("reads units, interrupts without the IOMMU's own, and VFIO", () => {
    expect(snapshot.units.known && snapshot.units.value.map((unit) => unit.name)).toEqual([
      'dmar2',
      'dmar10',
    ])
    expect(snapshot.interruptChips).toEqual(known(['IR-PCI-MSIX-0000:01:00.0']))
    expect(snapshot.vfio.modules).toEqual(known(['vfio', 'vfio_iommu_type1']))
    expect(snapshot.vfio.parameters['vfio_iommu_type1.allow_unsafe_interrupts']).toBe('N')
    expect(snapshot.vfio.nodes).toEqual(known(['vfio']))
  })

  it('serializes with everything that is read on first use', () => {
    const json = JSON.parse(JSON.stringify(snapshot)) as typeof snapshot
    expect(json.functions[0]?.config.acs.known).toBe(true)
    expect(json.functions[0]?.revision).toEqual(known(1))
    expect(json.groups.known && json.groups.value[0]?.type).toEqual(known('DMA-FQ'))
  })

  it('knows services, SR-IOV state and the rest of the details', () => {
    const [nic, disk] = host.details(['0000:01:00.0', '10000:e1:00.0'])
    expect(nic?.services).toEqual(known([{ kind: 'net', name: 'enxa0369f123456' }]))
    expect(disk?.services).toEqual(known([{ kind: 'block', name: 'nvme0n1' }]))
    expect(nic?.sriov).toEqual(
      known({ totalVfs: 7, numVfs: 1, autoprobe: true, virtualFunctions: ['0000:01:10.0'] }),
    )
    expect(nic).toMatchObject({
      driverOverride: known(null),
      numaNode: known(null),
      powerState: known('D0'),
      runtimeStatus: known('active'),
      unit: known(null),
    })
    expect(nic?.configHex.known && nic.configHex.value).toHaveLength(8192)
  })

  it('knows what makes the host ready', () => {
    expect(host.readiness()).toMatchObject({
      acpiTables: known(['DMAR']),
      cpuVendor: known('GenuineIntel'),
      cpuFlags: known(['vmx']),
      machine: known('x86_64'),
      uid: known(0),
      memlock: known(8_388_608),
      memory: known(16_777_216),
      mayLockMemory: known(true),
      vfioPciAvailable: { known: false },
    })
  })
})

function devicePath(link: string): string {
  return link.replace('../../../', '/sys/')
}

describe('linuxHost() with odd files', () => {
  const changed = (path: string, content: string | Uint8Array): Host => {
    const tree = sampleTree()
    return hostOf({ ...tree, files: { ...tree.files, [path]: content } })
  }
  const NIC = '0000:01:00.0'
  const nic = `/sys/devices/pci0000:00/0000:00:01.0/${NIC}`

  it("an ordinary user's 64 bytes leave PCIe and ACS unknown, with the size in the reason", () => {
    const { config } = functionOf(changed(`${nic}/config`, new Uint8Array(64)), '0000:01:00.0')
    expect(config.size).toBe(64)
    const { config: port } = functionOf(
      changed('/sys/devices/pci0000:00/0000:00:01.0/config', nicHeader()),
      '0000:00:01.0',
    )
    expect(port.pcie).toEqual({
      known: false,
      why: expect.stringContaining('only 64 bytes readable') as string,
    })
  })

  it('a uevent of another form gives unknowns that name it', () => {
    const fn = functionOf(
      changed(`${nic}/uevent`, 'PCI_ID=nonsense\nPCI_CLASS=xyz\n'),
      '0000:01:00.0',
    )
    expect(fn.vendor).toMatchObject({
      known: false,
      why: expect.stringContaining('nonsense') as string,
    })
    expect(fn.classCode.known).toBe(false)
    expect(fn.driver).toEqual(known(null))
  })

  it('ids come from modalias, and the driver from its link: uevent waits for a device that hangs', () => {
    const tree = sampleTree()
    const alias = 'pci:v00008086d000010FBsv0000103Csd00008490bc02sc01i0A\n'
    const files = { ...tree.files, [`${nic}/modalias`]: alias, [`${nic}/uevent`]: 'PCI_ID=1:1\n' }
    const driver = '/sys/bus/pci/drivers/ixgbe'
    const links = { ...tree.links, [`${nic}/driver`]: `../../../..${driver.slice('/sys'.length)}` }
    const bound = functionOf(hostOf({ files: { ...files, [`${driver}/new_id`]: '' }, links }), NIC)
    expect(bound.vendor).toEqual(known(0x8086))
    expect(bound.device).toEqual(known(0x10fb))
    expect(bound.subsystem).toEqual(known({ vendor: 0x103c, device: 0x8490 }))
    expect(bound.classCode).toEqual(known(0x02010a))
    expect(bound.driver).toEqual(known('ixgbe'))
    expect(functionOf(hostOf({ ...tree, files }), NIC).driver).toEqual(known(null))
  })

  it('a modalias of another form gives unknowns that show it, and no subsystem is none', () => {
    const odd = functionOf(changed(`${nic}/modalias`, 'pci:v1\n'), NIC)
    const why = { known: false, why: expect.stringContaining('"pci:v1", wanted') as string }
    expect([odd.vendor, odd.device, odd.classCode, odd.subsystem]).toMatchObject(
      new Array(4).fill(why),
    )
    expect(odd.driver).toEqual(known(null))
    const alias = 'pci:v00008086d00001901sv00000000sd00000000bc06sc04i00\n'
    const plain = functionOf(changed(`${nic}/modalias`, alias), NIC)
    expect(plain.subsystem).toEqual(known(null))
  })

  it('reserved regions of another form are unknown, and good ones are not lost silently', () => {
    expect(parseReserved('0x0 0x1 msi\nwhat is this\n').known).toBe(false)
    expect(parseReserved('')).toEqual(known([]))
  })

  it('a host without groups is known to have none', () => {
    const tree = sampleTree()
    const rest = (all: TreeFiles['files'] | TreeFiles['links']): Record<string, string> =>
      Object.fromEntries(
        Object.entries(all).filter(([path]) => !path.startsWith('/sys/kernel/iommu_groups')),
      ) as Record<string, string>
    const root = writeTree({ files: rest(tree.files), links: rest(tree.links) })
    roots.push(root)
    const bare = linuxHost(nativeKernel(root), 'bare').snapshot()
    expect(bare.groups).toEqual(known([]))
    mkdirSync(`${root}/sys/kernel/iommu_groups`, { recursive: true })
    const empty = linuxHost(nativeKernel(root), 'empty').snapshot()
    expect(empty.groups).toEqual(known([]))
    expect(empty.functions[0]?.group).toEqual(known(null))
  })
})

function nicHeader(): Uint8Array {
  const bytes = new Uint8Array(64)
  bytes[0x06] = 0x10
  bytes[0x34] = 0x40
  return bytes
}
