import { rmSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { known, unknown } from '../base/fact.ts'
import type { Host, PciFunction } from '../isolation/host.ts'
import { nativeKernel } from '../kernel/native/native-kernel.ts'
import { recordedKernel } from '../kernel/recorded.ts'
import type { Recording } from '../kernel/recording.ts'
import { captureHost, maskProcessors } from './capture.ts'
import { linuxHost } from './linux-host.ts'
import { sampleTree, writeTree } from './tree.case.ts'

const root = writeTree(sampleTree())
const { recording } = captureHost(nativeKernel(root), 'a tree', true)
afterAll(() => {
  rmSync(root, { recursive: true })
})

const NIC = '0000:01:00.0'
const DIR = `/sys/bus/pci/devices/${NIC}`

/** A kernel whose answers are those of the sample but for what `change` does to them. */
function hostWith(change: (answers: Recording) => void): Host {
  const answers = structuredClone(recording)
  change(answers)
  return linuxHost(recordedKernel(answers), 'a changed recording')
}

function functionOf(host: Host, address: string): PciFunction {
  const found = host.snapshot().functions.find((fn) => fn.address === address)
  if (found === undefined) throw new Error(`${address} is missing`)
  return found
}

describe('linuxHost() where the kernel answers oddly', () => {
  it('never counts up to a number that a file claims', () => {
    const host = hostWith(({ text }) => {
      text[`${DIR}/sriov_numvfs`] = '99999999999'
    })
    expect(host.details([NIC])[0]?.sriov).toEqual(
      unknown(`${DIR}/sriov_numvfs holds "99999999999", wanted a number from 0 to 65535`),
    )
  })

  it.each(['', '-2', '1.5', '0x10', 'abc', '4096'])(
    'NUMA node "%s" is unknown, not a number',
    (text) => {
      const host = hostWith((answers) => {
        answers.text[`${DIR}/numa_node`] = text
      })
      expect(host.details([NIC])[0]?.numaNode).toMatchObject({ known: false })
    },
  )

  it('takes the revision from config space where the file is missing, and from nowhere else', () => {
    const withConfig = hostWith(({ text, bytes }) => {
      text[`${DIR}/revision`] = { error: 'ENOENT' }
      bytes[`${DIR}/config`] = { hex: '8680211500001000a5', size: 64 }
    })
    expect(functionOf(withConfig, NIC).revision).toEqual(known(0xa5))
    const without = hostWith(({ text, bytes }) => {
      text[`${DIR}/revision`] = { error: 'ENOENT' }
      bytes[`${DIR}/config`] = { error: 'ENOENT' }
    })
    expect(functionOf(without, NIC).revision).toEqual(unknown(`${DIR}/revision does not exist`))
    const nonsense = hostWith(({ text }) => {
      text[`${DIR}/revision`] = 'new'
    })
    expect(functionOf(nonsense, NIC).revision).toMatchObject({ known: false })
  })

  it('a subsystem of zeros is none, as bridges have it', () => {
    const host = hostWith(({ text }) => {
      text[`${DIR}/uevent`] = 'PCI_CLASS=60400\nPCI_ID=8086:1901\nPCI_SUBSYS_ID=0000:0000\n'
    })
    expect(functionOf(host, NIC).subsystem).toEqual(known(null))
  })

  it('no reset methods are known only where the kernel also offers no reset', () => {
    const methodsWhere = (reset: boolean): unknown =>
      functionOf(
        hostWith(({ text, exists }) => {
          text[`${DIR}/reset_method`] = { error: 'ENOENT' }
          exists[`${DIR}/reset`] = reset
        }),
        NIC,
      ).resetMethods
    expect(methodsWhere(false)).toEqual(known([]))
    expect(methodsWhere(true)).toMatchObject({ known: false })
  })

  it('says of the 64 bytes that an ordinary user gets that root gets more', () => {
    const host = hostWith(({ bytes }) => {
      bytes[`${DIR}/config`] = { hex: `868021150000100000${'00'.repeat(43)}40`, size: 64 }
    })
    const { config } = functionOf(host, NIC)
    expect(config.headerType).toEqual(known(0))
    const why = 'config space: only 64 bytes readable (needs root)'
    expect(config.capabilities).toEqual(unknown(why))
    expect(config.acs).toEqual(unknown(`ACS capability: ${why}`))
  })

  it('services are unknown where a class cannot be listed, and none where there is no such class', () => {
    const denied = hostWith(({ list }) => {
      list['/sys/class/net'] = { error: 'EACCES' }
    })
    expect(denied.details([NIC])[0]?.services).toEqual(
      unknown('/sys/class/net: EACCES, needs root'),
    )
    const absent = hostWith(({ list }) => {
      list['/sys/class/net'] = { error: 'ENOENT' }
    })
    expect(absent.details([NIC])[0]?.services).toEqual(known([]))
  })

  it('a disk behind several paths is called by the name that is used', () => {
    const host = hostWith(({ list, link }) => {
      list['/sys/class/block'] = ['nvme0c1n1', 'nvme0n1']
      link['/sys/class/block/nvme0n1'] = '../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1'
      link['/sys/class/block/nvme0c1n1'] = `../../devices/pci0000:00/${NIC}/nvme/nvme1/nvme0c1n1`
    })
    expect(host.details([NIC])[0]?.services).toEqual(
      known([
        { kind: 'net', name: 'enxa0369f123456' },
        { kind: 'block', name: 'nvme0n1' },
      ]),
    )
  })

  it('groups whose members cannot be listed are unknown, not small', () => {
    const host = hostWith(({ list }) => {
      list['/sys/kernel/iommu_groups/10/devices'] = { error: 'EACCES' }
    })
    expect(host.snapshot().groups).toMatchObject({ known: false })
    expect(functionOf(host, NIC).group).toMatchObject({ known: false })
  })

  it('asks the groups themselves where a unit tells less than all of its devices', () => {
    const units = (answers: Recording): void => {
      answers.list['/sys/class/iommu'] = ['dmar0']
      answers.list['/sys/class/iommu/dmar0/devices'] = [NIC, '0000:01:10.0', '0000:00:01.0']
      answers.link[`${DIR}/iommu_group`] = '../../../../kernel/iommu_groups/10'
      answers.link['/sys/bus/pci/devices/0000:00:01.0/iommu_group'] = '../kernel/iommu_groups/0'
    }
    const { groups } = hostWith((answers) => {
      units(answers)
      answers.link['/sys/bus/pci/devices/0000:01:10.0/iommu_group'] = { error: 'EACCES' }
    }).snapshot()
    const members = groups.known ? groups.value.find((group) => group.id === '10')?.members : []
    expect(members).toEqual([NIC, '0000:01:10.0', 'INTC1055:00'])
  })

  it('finds the members of a group that belongs to no unit, beside those that do', () => {
    const host = hostWith(({ list, link }) => {
      list['/sys/class/iommu'] = ['dmar0']
      list['/sys/class/iommu/dmar0/devices'] = ['0000:00:01.0']
      link['/sys/bus/pci/devices/0000:00:01.0/iommu_group'] = '../kernel/iommu_groups/0'
    })
    expect(functionOf(host, NIC).group).toEqual(known('10'))
    expect(functionOf(host, '0000:00:01.0').group).toEqual(known('0'))
  })

  it('a group that goes away while it is read is left out', () => {
    const host = hostWith(({ list }) => {
      list['/sys/kernel/iommu_groups/10/devices'] = { error: 'ENOENT' }
    })
    const { groups } = host.snapshot()
    expect(groups.known && groups.value.map((group) => group.id)).toEqual(['0', '2'])
  })

  it('a function that goes away while it is read does not hide where its bus hangs', () => {
    const host = hostWith(({ link }) => {
      const other = '/sys/bus/pci/devices/0000:01:10.0'
      link[other] = '../../../devices/pci0000:00/0000:00:01.0/0000:01:10.0'
      link[DIR] = { error: 'ENOENT' }
    })
    expect(functionOf(host, '0000:01:10.0').parent).toBe('0000:00:01.0')
  })

  it.each([
    ['EACCES', 'permission'],
    ['ENOENT', 'no-source'],
  ])('no list of functions (%s) is refused with %s', (error, code) => {
    const host = hostWith(({ list }) => {
      list['/sys/bus/pci/devices'] = { error }
    })
    expect(() => host.snapshot()).toThrow(IsogroupError)
    expect(() => host.snapshot()).toThrow(expect.objectContaining({ code }) as Error)
  })
})

describe('captureHost()', () => {
  it('masks the serial number that a processor prints, unless identifiers are wanted', () => {
    const { files, links } = sampleTree()
    const cpuinfo = 'CPU implementer\t: 0x41\nSerial\t\t: 00000000a1b2c3d4\n'
    const board = writeTree({ files: { ...files, '/proc/cpuinfo': cpuinfo }, links })
    try {
      const textOf = (identifiers: boolean): string =>
        JSON.stringify(captureHost(nativeKernel(board), 'a board', identifiers))
      expect(textOf(false)).not.toContain('a1b2c3d4')
      expect(textOf(true)).toContain('a1b2c3d4')
    } finally {
      rmSync(board, { recursive: true })
    }
  })

  it("keeps the names that the host was shown with when they were not the host's own", () => {
    const { files, links } = sampleTree()
    const { ['/usr/share/misc/pci.ids']: ids, ...rest } = files
    const bare = writeTree({ files: rest, links })
    try {
      const captured = captureHost(nativeKernel(bare), 'bare', false, () => String(ids))
      const replayed = linuxHost(recordedKernel(captured.recording), 'bare')
      expect(functionOf(replayed, NIC).name).toBe(
        'Intel Corporation I350 Gigabit Network Connection',
      )
      expect(JSON.stringify(captured.recording)).not.toContain('Not in this host')
    } finally {
      rmSync(bare, { recursive: true })
    }
  })
})

describe('maskProcessors()', () => {
  it('hides the serial numbers that some processors print, and nothing else', () => {
    const arm = 'CPU implementer\t: 0x41\nHardware\t: BCM2835\nSerial\t\t: 00000000a1b2c3d4\n'
    expect(maskProcessors(arm)).toBe(
      'CPU implementer\t: 0x41\nHardware\t: BCM2835\nSerial\t\t: ***\n',
    )
    expect(
      maskProcessors('processor 0: version = FF,  identification = 018F67,  machine = 3906'),
    ).toBe('processor 0: version = FF,  identification = ***,  machine = 3906')
  })
})
