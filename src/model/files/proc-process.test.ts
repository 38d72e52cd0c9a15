import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../../base/utf8.ts'
import { bootedMachine, CARD, CARD_MATE, USB } from '../machine/booted-machine.case.ts'
import { giveToVfio, groupOf, HandClock, openDevice } from '../machine/vfio-user.case.ts'
import type { Model } from '../model.ts'
import { type ModelKernel, modelKernel } from '../model-kernel.ts'

const UNBIND = '/sys/bus/pci/drivers/vfio-pci/unbind'

interface Scene {
  readonly model: Model
  readonly root: ModelKernel
  readonly clock: HandClock
  /** A program of root's that has the USB controller. */
  readonly user: ModelKernel
  readonly dir: string
}

async function scene(): Promise<Scene> {
  const model = bootedMachine()
  const clock = new HandClock()
  const root = modelKernel(model, { clock })
  await giveToVfio(root, USB)
  const user = root.as(model.createProcess({ name: 'qemu-system-x86_64' }))
  return { model, root, clock, user, dir: `/proc/${String(user.process.pid)}` }
}

function links(kernel: ModelKernel, dir: string): readonly string[] {
  return kernel.list(`${dir}/fd`).map((n) => `${n} ${kernel.link(`${dir}/fd/${n}`)}`)
}

describe('/proc/PID', () => {
  it('lists processes while they live, the first one with nobody above it', async () => {
    const { root, user, dir } = await scene()
    expect(root.list('/proc')).toContain(String(user.process.pid))
    expect(root.text('/proc/1/status')).toContain('PPid:\t0\n')
    expect(root.text(`${dir}/status`)).toContain('PPid:\t1\n')
    await user.kill()
    expect(root.list('/proc')).not.toContain(String(user.process.pid))
    expect(root.exists(dir)).toBe(false)
  })

  it('is /proc/self for the process itself', async () => {
    const { root, user } = await scene()
    expect(root.link('/proc/self')).toBe(String(root.process.pid))
    expect(user.text('/proc/self/comm')).toBe('qemu-system-x86\n')
    expect(user.list('/proc/self/fd')).toEqual(['0', '1', '2'])
  })

  it('tells of each process what is its own', async () => {
    const { model, root } = await scene()
    const { pid } = model.createProcess({ name: 'guest', uid: 1000, gid: 104, memlockLimit: 65536 })
    const status = root.text(`/proc/${String(pid)}/status`)
    expect(status).toContain('Uid:\t1000\t1000\t1000\t1000\nGid:\t104\t104\t104\t104\n')
    expect(status).toContain('State:\tS (sleeping)')
    expect(root.text(`/proc/${String(pid)}/limits`)).toMatch(/^Max locked memory +65536 +65536 /m)
    expect(root.text(`/proc/${String(pid)}/stack`)).toBe('')
  })

  it('shows open files by the name they were opened by, others by their kind', async () => {
    const { root, user, dir } = await scene()
    await openDevice(user, USB)
    user.eventCounter()
    expect(links(root, dir)).toEqual([
      '0 /dev/null',
      '1 /dev/null',
      '2 /dev/null',
      '3 /dev/vfio/vfio',
      `4 /dev/vfio/${groupOf(root, USB)}`,
      '5 anon_inode:[vfio-device]',
      '6 anon_inode:[eventfd]',
    ])
  })

  it('says that a node is deleted that an open file still has', async () => {
    const { root, user, dir } = await scene()
    const group = groupOf(root, USB)
    await user.open(`/dev/vfio/${group}`)
    await root.write(UNBIND, encodeUtf8(USB), 1000)
    expect(root.exists(`/dev/vfio/${group}`)).toBe(false)
    expect(root.link(`${dir}/fd/3`)).toBe(`/dev/vfio/${group} (deleted)`)
  })

  it('lets nobody but root and the user look at open files and the stack', async () => {
    const { model, root, dir } = await scene()
    const other = root.as(model.createProcess({ name: 'other', uid: 1000 }))
    expect(() => other.list(`${dir}/fd`)).toThrow('EACCES')
    expect(() => other.link(`${dir}/fd/0`)).toThrow('EACCES')
    expect(other.exists(`${dir}/fd/0`)).toBe(false)
    expect(() => other.text(`${dir}/stack`)).toThrow('EACCES')
    expect(other.text(`${dir}/comm`)).toBe('qemu-system-x86\n')
    expect(other.list(`/proc/${String(other.process.pid)}/fd`)).toEqual(['0', '1', '2'])
    expect(() => other.text(`/proc/${String(other.process.pid)}/stack`)).toThrow('EACCES')
  })

  it('shows a write that waits for users: the file, the state, and where it stands', async () => {
    const { model, root, clock, user } = await scene()
    const { device } = await openDevice(user, USB)
    const admin = root.as(model.createProcess({ name: 'bash' }))
    const writing = admin.write(UNBIND, encodeUtf8(USB), 1000)
    const dir = `/proc/${String(admin.process.pid)}`
    expect(links(root, dir)).toContain(`3 ${UNBIND}`)
    expect(root.text(`${dir}/status`)).toContain('State:\tD (disk sleep)')
    const stack = root.text(`${dir}/stack`).split('\n')
    expect(stack[0]).toBe('[<0>] vfio_unregister_group_dev+0x0/0x0')
    expect(stack).toContain('[<0>] unbind_store+0x0/0x0')
    // Nothing ends it, not even its process; and whoever wants the device waits behind it.
    await admin.kill()
    expect(root.exists(dir)).toBe(true)
    const second = root.write(UNBIND, encodeUtf8(USB), 1000).catch((cause: unknown) => cause)
    expect(root.text(`/proc/${String(root.process.pid)}/stack`)).toMatch(
      /^\[<0>\] __mutex_lock\+0x0\/0x0\n\[<0>\] device_release_driver_internal\+0x0\/0x0\n/,
    )
    await device.close()
    await Promise.all([writing, second])
    expect(clock.waiting).toBe(0)
    expect(root.exists(dir)).toBe(false)
  })

  it('shows the file itself, not the way that led to it', async () => {
    const { model, root, user } = await scene()
    const { device } = await openDevice(user, USB)
    const admin = root.as(model.createProcess({ name: 'bash' }))
    const remove = admin.write(`/sys/bus/pci/devices/${USB}/remove`, encodeUtf8('1'), 1000)
    expect(links(root, `/proc/${String(admin.process.pid)}`)).toContain(
      `3 /sys/devices/pci0000:00/${USB}/remove`,
    )
    await device.close()
    await remove
  })
})

describe('the owner of a group node', () => {
  const open = (kernel: ModelKernel, node: string): Promise<unknown> =>
    kernel.open(node).then(
      (handle) => handle.close().then(() => 'opened'),
      (cause: unknown) => (cause as { code?: string }).code,
    )

  it('is root alone at first, and lets in whom root gives it to', async () => {
    const { model, root } = await scene()
    const node = `/dev/vfio/${groupOf(root, USB)}`
    const [owner, member, other] = [
      model.createProcess({ name: 'a', uid: 1000 }),
      model.createProcess({ name: 'b', uid: 1001, gid: 104 }),
      model.createProcess({ name: 'c', uid: 1002 }),
    ].map((process) => root.as(process)) as [ModelKernel, ModelKernel, ModelKernel]
    expect(root.stat(node)).toEqual({ uid: 0, gid: 0, mode: 0o600 })
    expect(await open(owner, node)).toBe('EACCES')
    await root.setOwner(node, 1000, 104)
    expect(root.stat(node)).toEqual({ uid: 1000, gid: 104, mode: 0o600 })
    expect(await Promise.all([owner, member, other].map((one) => open(one, node)))).toEqual([
      'opened',
      'EACCES',
      'EACCES',
    ])
    await root.setMode(node, 0o660)
    expect([await open(member, node), await open(other, node)]).toEqual(['opened', 'EACCES'])
    await owner.setMode(node, 0o666)
    expect(await open(other, node)).toBe('opened')
  })

  it('is root again when the node was gone', async () => {
    const { root } = await scene()
    const node = `/dev/vfio/${groupOf(root, USB)}`
    await root.setOwner(node, 1000, 1000)
    await root.setMode(node, 0o666)
    await root.write(UNBIND, encodeUtf8(USB), 1000)
    expect(() => root.stat(node)).toThrow('ENOENT')
    await expect(root.setOwner(node, 1, 1)).rejects.toMatchObject({ code: 'ENOENT' })
    await giveToVfio(root, USB)
    expect(root.stat(node)).toEqual({ uid: 0, gid: 0, mode: 0o600 })
  })

  it('stays while another member keeps the node', async () => {
    const { root } = await scene()
    for (const address of [CARD, CARD_MATE]) await giveToVfio(root, address)
    const node = `/dev/vfio/${groupOf(root, CARD)}`
    await root.setOwner(node, 1000, 1000)
    await root.write(UNBIND, encodeUtf8(CARD), 1000)
    expect(root.stat(node)).toEqual({ uid: 1000, gid: 1000, mode: 0o600 })
  })

  it('is changed by root or, in part, by itself', async () => {
    const { model, root } = await scene()
    const node = `/dev/vfio/${groupOf(root, USB)}`
    const user = root.as(model.createProcess({ name: 'a', uid: 1000 }))
    const refused = { code: 'EPERM' }
    await expect(user.setOwner(node, 1000, 1000)).rejects.toMatchObject({
      ...refused,
      action: 'chown',
    })
    await expect(user.setMode(node, 0o666)).rejects.toMatchObject({ ...refused, action: 'chmod' })
    await root.setOwner(node, 1000, 0)
    await user.setOwner(node, 1000, 1000)
    await expect(user.setOwner(node, 0, 0)).rejects.toMatchObject(refused)
    expect(root.stat('/dev/vfio/vfio')).toEqual({ uid: 0, gid: 0, mode: 0o666 })
    expect(root.stat('/sys/bus/pci/drivers_probe').mode).toBe(0o200)
    expect(root.stat('/sys/bus/pci').mode).toBe(0o755)
    await expect(root.setMode('/sys/bus/pci/drivers_probe', 0o666)).rejects.toMatchObject(refused)
  })
})

describe('/sys/dev', () => {
  it('has every node by its number', async () => {
    const { root } = await scene()
    const group = groupOf(root, USB)
    expect(root.list('/sys/dev/char')).toEqual(['10:196', '245:0'])
    expect(root.link('/sys/dev/char/245:0')).toBe(`../../devices/virtual/vfio/${group}`)
    expect(root.text('/sys/dev/char/245:0/uevent')).toContain(`DEVNAME=vfio/${group}\n`)
    expect(root.list('/sys/dev/block')).toEqual([])
  })
})
