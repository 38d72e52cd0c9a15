import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import { bootedMachine, CARD, CARD_MATE, USB } from '../model/machine/booted-machine.case.ts'
import { giveToVfio, groupOf, HandClock } from '../model/machine/vfio-user.case.ts'
import { modelKernel } from '../model/model-kernel.ts'
import { openContext } from '../access/open-context.ts'
import { readContexts } from './contexts.ts'
import { type Paper, paperKernel, papers } from './usage/paper-kernel.case.ts'

const DEVICE = 'anon_inode:[vfio-device]'

function program(pid: number, open: readonly string[], status = 'VmLck:\t    64 kB\n'): Paper {
  const dir = `/proc/${String(pid)}`
  return {
    files: {
      [`${dir}/status`]: `Name:\tqemu\nUid:\t1000\t0\t0\t0\n${status}`,
      [`${dir}/fdinfo/5`]: 'vfio-device-syspath: /sys/devices/pci0000:00/0000:00:02.0\n',
      '/dev/vfio/vfio': '',
    },
    links: Object.fromEntries(open.map((to, n) => [`${dir}/fd/${String(n + 3)}`, to])),
  }
}

const GROUPS: Paper = {
  files: {
    '/sys/kernel/iommu_groups/13/devices/0000:01:00.0': '',
    '/sys/kernel/iommu_groups/13/devices/0000:01:00.1': '',
    '/sys/kernel/iommu_groups/7/devices/0000:00:02.0': '',
  },
  links: {
    '/sys/devices/pci0000:00/0000:00:02.0/iommu_group': '../../../kernel/iommu_groups/7',
  },
}

describe('readContexts()', () => {
  it('names groups by nodes and, where the kernel tells, by devices', () => {
    const open = ['/dev/vfio/vfio', '/dev/vfio/13', DEVICE]
    expect(readContexts(paperKernel(papers(GROUPS, program(812, open))))).toEqual(
      known([
        {
          ...{ pid: 812, name: 'qemu', uid: 1000, containers: 1, locked: known(65_536) },
          groups: [
            { group: '7', members: ['0000:00:02.0'] },
            { group: '13', members: ['0000:01:00.0', '0000:01:00.1'] },
          ],
        },
      ]),
    )
  })

  it('leaves programs without a container out, counts several, and says when locked memory is unknown', () => {
    const found = readContexts(
      paperKernel(
        papers(
          program(1, ['/dev/vfio/13']),
          program(9, ['/dev/vfio/vfio', '/dev/vfio/vfio'], ''),
          program(4, ['/dev/vfio/vfio']),
        ),
      ),
    )
    if (!found.known) throw new Error(found.why)
    expect(found.value.map(({ pid, containers }) => [pid, containers])).toEqual([
      [4, 1],
      [9, 2],
    ])
    expect(found.value[1]?.locked).toMatchObject({ known: false })
  })

  it('is unknown when a program may not be looked at', () => {
    const denied = paperKernel({ files: { '/proc/1/fd': '!EACCES' } })
    expect(readContexts(denied)).toMatchObject({ known: false })
  })

  it('sees contexts of a model come and go, and what they lock', async () => {
    const model = bootedMachine()
    const root = modelKernel(model, { clock: new HandClock() })
    const user = root.as(model.createProcess({ name: 'qemu', uid: 0 }))
    for (const address of [CARD, CARD_MATE, USB]) await giveToVfio(root, address)
    const ids = [groupOf(root, CARD), groupOf(root, USB)]
    expect(readContexts(root)).toEqual(known([]))
    const context = await openContext({ kernel: user }, ids)
    context.map(context.allocate(8192))
    const during = readContexts(root)
    if (!during.known) throw new Error(during.why)
    const [use] = during.value
    expect(use).toMatchObject({ name: 'qemu', containers: 1, locked: known(8192) })
    expect(use?.groups.map(({ group }) => group).sort()).toEqual([...ids].sort())
    await context.close()
    expect(readContexts(root)).toEqual(known([]))
  })
})
