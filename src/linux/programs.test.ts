import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import { encodeUtf8 } from '../base/utf8.ts'
import { bootedMachine, CARD, CARD_MATE, USB } from '../model/machine/booted-machine.case.ts'
import { giveToVfio, groupOf, HandClock, openDevice } from '../model/machine/vfio-user.case.ts'
import { type ModelKernel, modelKernel } from '../model/model-kernel.ts'
import type { Model } from '../model/model.ts'
import { readPrograms } from './programs.ts'
import { readStuckEvidence } from './stuck-evidence.ts'
import { type Paper, paperKernel, papers } from './usage/paper-kernel.case.ts'

interface Running {
  readonly pid: number
  readonly name?: string
  readonly uid?: number
  /** Text of links, from descriptor 3 on; an errno as "!EACCES" for the whole directory. */
  readonly open: readonly string[] | string
  /** Content of fdinfo, by descriptor. */
  readonly info?: Readonly<Record<string, string>>
}

function program({ pid, name = 'qemu', uid = 1000, open, info = {} }: Running): Paper {
  const dir = `/proc/${String(pid)}`
  const status = { [`${dir}/status`]: `Name:\t${name}\nUid:\t${String(uid)}\t0\t0\t0\n` }
  if (typeof open === 'string') return { files: { ...status, [`${dir}/fd`]: open } }
  const notes = Object.entries(info).map(([n, text]) => [`${dir}/fdinfo/${n}`, text])
  return {
    files: { ...status, ...(Object.fromEntries(notes) as Record<string, string>) },
    links: Object.fromEntries(open.map((to, n) => [`${dir}/fd/${String(n + 3)}`, to])),
  }
}

const NODES: Paper = { files: { '/dev/vfio/vfio': '', '/dev/vfio/13': '', '/dev/vfio/14': '' } }
const DEVICE = 'anon_inode:[vfio-device]'

function usersOf(group: string, ...running: readonly Running[]) {
  return readPrograms(paperKernel(papers(NODES, ...running.map(program)))).usersOf(group)
}

describe('usersOf()', () => {
  it('finds who has the node open, with name, user and file', () => {
    const user = { pid: 812, name: 'qemu-system-x86', open: ['/dev/vfio/vfio', '/dev/vfio/13'] }
    expect(usersOf('13', user, { pid: 9, open: ['/dev/null'] })).toEqual(
      known([{ pid: 812, name: 'qemu-system-x86', uid: 1000, file: '/dev/vfio/13' }]),
    )
    expect(usersOf('14', user)).toEqual(known([]))
    expect(usersOf('1', user)).toEqual(known([]))
  })

  it('names each program once for a file, in the order of pids', () => {
    const open = ['/dev/vfio/13', '/dev/vfio/13']
    const users = usersOf('13', { pid: 20, open }, { pid: 3, open })
    expect(users.known && users.value.map(({ pid }) => pid)).toEqual([3, 20])
  })

  it('knows a node that is gone by its name', () => {
    const users = usersOf('13', { pid: 5, open: ['/dev/vfio/13 (deleted)'] })
    expect(users).toMatchObject({ value: [{ pid: 5, file: '/dev/vfio/13' }] })
  })

  it('does not put devices down to another group than the one that is open beside them', () => {
    const user = { pid: 5, open: ['/dev/vfio/13', DEVICE] }
    expect(usersOf('13', user)).toMatchObject({ value: [{ file: '/dev/vfio/13' }] })
    expect(usersOf('14', user)).toEqual(known([]))
  })

  it('names who kept a device and closed the group, for every group that can be open', () => {
    const user = { pid: 5, open: ['/dev/vfio/vfio', DEVICE] }
    for (const group of ['13', '14']) {
      expect(usersOf(group, user)).toMatchObject({ value: [{ pid: 5, file: DEVICE }] })
    }
    expect(usersOf('15', user)).toEqual(known([]))
  })

  it('trusts a kernel that tells which device it is', () => {
    const path = '/sys/devices/pci0000:00/0000:00:03.0'
    const info = { 3: `pos:\t0\nvfio-device-syspath: ${path}\n` }
    const kernel = paperKernel(
      papers(NODES, program({ pid: 5, open: [DEVICE], info }), {
        links: { [`${path}/iommu_group`]: '../../../kernel/iommu_groups/14' },
      }),
    )
    expect(readPrograms(kernel).usersOf('14')).toMatchObject({ value: [{ pid: 5 }] })
    expect(readPrograms(kernel).usersOf('13')).toEqual(known([]))
  })

  it('is unknown when a program may not be looked at, even if others were found', () => {
    const user = { pid: 5, open: ['/dev/vfio/13'] }
    expect(usersOf('13', user, { pid: 6, open: '!EACCES' }, { pid: 7, open: '!EACCES' })).toEqual({
      known: false,
      why: 'open files of 2 programs could not be seen (needs root)',
    })
  })

  it('passes over programs that end while they are looked at', () => {
    const user = { pid: 5, open: ['/dev/vfio/13'] }
    expect(usersOf('13', user, { pid: 6, open: '!ESRCH' })).toMatchObject({ value: [{ pid: 5 }] })
    const ended = papers(NODES, { links: { '/proc/8/fd/3': '/dev/vfio/13' } })
    expect(readPrograms(paperKernel(ended)).usersOf('13')).toEqual(known([]))
  })
})

describe('holdersOf()', () => {
  const GPU = '0000:01:00.0'
  const HOST = '0000:00:14.0'
  const dir = 'devices/pci0000:00'
  const hardware: Paper = {
    links: {
      '/sys/dev/char/226:0': `../../${dir}/0000:00:01.0/${GPU}/drm/card0`,
      '/sys/dev/char/1:3': '../../devices/virtual/mem/null',
      '/sys/dev/char/189:1': `../../${dir}/${HOST}/usb1/1-1`,
      '/sys/dev/block/8:0': `../../${dir}/${HOST}/usb1/1-2/host0/block/sda`,
      '/sys/dev/char/245:0': '../../devices/virtual/vfio/13',
    },
    files: {
      '/sys/dev/char/226:0/uevent': 'MAJOR=226\nMINOR=0\nDEVNAME=dri/card0\n',
      '/sys/dev/char/189:1/uevent': 'DEVNAME=bus/usb/001/002\nDEVTYPE=usb_device\n',
      '/sys/dev/block/8:0/uevent': 'MAJOR=8\nDEVNAME=sda\n',
      '/sys/dev/char/245:0/uevent': 'DEVNAME=vfio/13\n',
    },
  }
  const running = [
    { pid: 700, name: 'Xorg', uid: 0, open: ['/dev/dri/card0', '/dev/dri/card0'] },
    { pid: 701, name: 'pcscd', uid: 0, open: ['/dev/bus/usb/001/002', '/dev/sda'] },
    { pid: 702, name: 'qemu', open: ['/dev/vfio/13'] },
  ]

  it('finds programs by the nodes below a function, through other devices too', () => {
    const kernel = paperKernel(papers(hardware, ...running.map(program)))
    const of = readPrograms(kernel).holdersOf([GPU, HOST, '0000:09:00.0'])
    expect(of(GPU)).toEqual(known([{ pid: 700, name: 'Xorg', uid: 0, file: '/dev/dri/card0' }]))
    expect(of(HOST)).toMatchObject({
      value: [{ file: '/dev/bus/usb/001/002' }, { pid: 701, file: '/dev/sda' }],
    })
    expect(of('0000:09:00.0')).toEqual(known([]))
  })

  it('counts for every function on the way to a device', () => {
    const node = `../../${dir}/${HOST}/pci10000:e0/${GPU}/nvme0n1`
    const below: Paper = {
      links: { '/sys/dev/block/259:0': node },
      files: { '/sys/dev/block/259:0/uevent': 'DEVNAME=nvme0n1\n' },
    }
    const kernel = paperKernel(papers(below, program({ pid: 5, open: ['/dev/nvme0n1'] })))
    for (const address of [HOST, GPU]) {
      expect(readPrograms(kernel).holdersOf([HOST, GPU])(address)).toMatchObject({
        value: [{ file: '/dev/nvme0n1' }],
      })
    }
  })

  it('is unknown when programs or nodes cannot be listed', () => {
    const denied = paperKernel(papers(hardware, program({ pid: 1, open: '!EACCES' })))
    expect(readPrograms(denied).holdersOf([GPU])(GPU)).toMatchObject({ known: false })
    const blind = paperKernel(
      papers(hardware, program({ pid: 1, open: [] }), { files: { '/sys/dev/char': '!EACCES' } }),
    )
    expect(readPrograms(blind).holdersOf([GPU])(GPU)).toEqual({
      known: false,
      why: '/sys/dev/char: EACCES, needs root',
    })
  })
})

interface Scene {
  readonly model: Model
  readonly root: ModelKernel
  readonly user: ModelKernel
}

function scene(): Scene {
  const model = bootedMachine()
  const root = modelKernel(model, { clock: new HandClock() })
  return { model, root, user: root.as(model.createProcess({ name: 'qemu', uid: 0 })) }
}

describe('on a model', () => {
  it('users of a group are there from opening the node until the last device is closed', async () => {
    const { root, user } = scene()
    for (const address of [CARD, CARD_MATE]) await giveToVfio(root, address)
    const group = groupOf(root, CARD)
    const files = (): unknown => {
      const users = readPrograms(root).usersOf(group)
      return users.known ? users.value.map(({ file }) => file) : users.why
    }
    expect(files()).toEqual([])
    const opened = await openDevice(user, CARD)
    expect(files()).toEqual([`/dev/vfio/${group}`])
    await opened.group.close()
    expect(files()).toEqual([DEVICE])
    await opened.device.close()
    expect(files()).toEqual([])
  })

  it('an ordinary user does not know', () => {
    const { model, root } = scene()
    const other = root.as(model.createProcess({ name: 'other', uid: 1000 }))
    expect(readPrograms(other).usersOf('1')).toMatchObject({ known: false })
    expect(readStuckEvidence(other, CARD)).toEqual([expect.stringContaining('needs root')])
  })

  it('a hanging unbind has its holder, its writer and its place in the kernel as evidence', async () => {
    const { root, user } = scene()
    await giveToVfio(root, USB)
    const { device } = await openDevice(user, USB)
    const unbind = '/sys/bus/pci/drivers/vfio-pci/unbind'
    const writing = root.write(unbind, encodeUtf8(USB), 1000)
    const evidence = readStuckEvidence(root, USB)
    const [holder, writer, place] = evidence
    const { pid } = user.process
    expect(holder).toBe(
      `qemu (pid ${String(pid)}, user 0) has /dev/vfio/${groupOf(root, USB)} open`,
    )
    expect(writer).toBe(
      `program (pid ${String(root.process.pid)}) has been writing to ${unbind}, state D (disk sleep)`,
    )
    expect(place).toBe('  [<0>] vfio_unregister_group_dev+0x0/0x0')
    await device.close()
    await writing
    await user.kill()
    expect(readStuckEvidence(root, USB)).toEqual([])
  })
})
