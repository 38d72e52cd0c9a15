import { describe, expect, it } from 'vitest'
import { decodeUtf8, encodeUtf8 } from '../base/utf8.ts'
import {
  kernelConformance,
  kernelHandleConformance,
  kernelWritingConformance,
} from '../kernel/conformance.case.ts'
import { KernelError } from '../kernel/kernel.ts'
import { bootedMachine, CARD, CARD_MATE, USB } from './machine/booted-machine.case.ts'
import { giveToVfio, groupOf, HandClock, openDevice } from './machine/vfio-user.case.ts'
import { modelKernel, type ModelKernel } from './model-kernel.ts'
import { FileTree } from './sysfs/file-tree.ts'
import { type Directory, directory, type File } from './sysfs/node.ts'
import type { Task } from './task.ts'

function small(content: string | Uint8Array): File {
  let now = content
  return {
    kind: 'file',
    mode: 0o644,
    read: () => now,
    // biome-ignore lint/correctness/useYield: a store is a task
    *write(bytes): Task<void> {
      now = decodeUtf8(bytes)
    },
  }
}

/** The tree of the conformance suite in place of the machine's. */
function conformanceKernel(): ModelKernel {
  const fixed = (nodes: Record<string, File | Directory>): Directory =>
    directory(Object.fromEntries(Object.entries(nodes).map(([name, node]) => [name, () => node])))
  const a = directory({
    ...Object.fromEntries(
      Object.entries({
        file: small('text\n'),
        bytes: small(Uint8Array.of(0x00, 0xff, 0x10, 0x00, 0x00)),
        empty: small(''),
        wide: small('Grüße\n'),
      }).map(([name, node]) => [name, () => node]),
    ),
    link: () => ({ kind: 'link', target: () => '../b/target' }),
  })
  const files = new FileTree(fixed({ sys: fixed({ a, b: fixed({}) }), dev: fixed({}) }))
  return modelKernel({ ...bootedMachine(), files }, { clock: new HandClock() })
}

kernelConformance('modelKernel()', conformanceKernel)
kernelWritingConformance('modelKernel()', conformanceKernel)
kernelHandleConformance('modelKernel()', conformanceKernel)

const PCI = '/sys/bus/pci'
const DEADLINE = 1000

function text(value: string): Uint8Array {
  return encodeUtf8(value)
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'done'
  } catch (cause) {
    return cause instanceof KernelError ? cause.code : String(cause)
  }
}

const GET_API_VERSION = 0x3b64

describe('modelKernel()', () => {
  it('shows the machine as a host has it', () => {
    const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
    expect(kernel.text('/proc/sys/kernel/osrelease')).toBe('6.12.117\n')
    expect(kernel.link(`${PCI}/devices/${CARD}`)).toBe(
      `../../../devices/pci0000:00/0000:00:01.0/${CARD}`,
    )
    expect(kernel.text(`${PCI}/devices/${CARD}/vendor`)).toBe('0x8086\n')
    expect(kernel.read(`${PCI}/devices/${CARD}/config`)).toHaveLength(4096)
    const chips = kernel.text('/proc/interrupts')
    expect(chips).toContain(`IR-PCI-MSIX-${CARD}`)
    expect(chips).toContain('DMAR-MSI')
    expect(kernel.list('/sys/module')).toContain('vfio_iommu_type1')
    expect(kernel.text('/sys/module/vfio_iommu_type1/parameters/dma_entry_limit')).toBe('65535\n')
    expect(kernel.text('/usr/share/misc/pci.ids')).toContain('\t10d3  82574L')
    expect(kernel.list('/dev/vfio')).toEqual(['vfio'])
  })

  it('shows an ordinary user less', () => {
    const model = bootedMachine()
    const root = modelKernel(model, { clock: new HandClock() })
    const user = root.as(model.createProcess({ name: 'user', uid: 1000 }))
    expect(user.read(`${PCI}/devices/${CARD}/config`)).toHaveLength(64)
    expect(user.text('/proc/self/status')).toContain('Uid:\t1000\t')
    expect(() => user.read('/sys/firmware/acpi/tables/DMAR')).toThrow('EACCES')
  })

  it('refuses an ordinary user what only root may do', async () => {
    const model = bootedMachine()
    const user = modelKernel(model, {
      clock: new HandClock(),
      process: model.createProcess({ name: 'user', uid: 1000 }),
    })
    const unbind = `${PCI}/devices/${CARD}/driver/unbind`
    expect(await codeOf(user.write(unbind, text(CARD), DEADLINE))).toBe('EACCES')
    expect(model.pci.device(CARD)?.driver?.name).toBe('e1000e')
  })

  it('does a write at once and tells of it in the order of the kernel', async () => {
    const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
    const events = kernel.events()[Symbol.asyncIterator]()
    await kernel.write(`${PCI}/drivers/e1000e/unbind`, text(CARD), DEADLINE)
    expect(kernel.exists(`${PCI}/devices/${CARD}/driver`)).toBe(false)
    const heads: string[] = []
    for (let n = 0; n < 2; n += 1) {
      const result: IteratorResult<Uint8Array, unknown> = await events.next()
      if (result.done !== true) heads.push(decodeUtf8(result.value).split('\0')[0] ?? '')
    }
    const path = `/devices/pci0000:00/0000:00:01.0/${CARD}`
    expect(heads).toEqual([`remove@${path}/net/eth0`, `unbind@${path}`])
  })

  it('gives the errnos of the kernel', async () => {
    const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
    const bind = (driver: string, address: string): Promise<string> =>
      codeOf(kernel.write(`${PCI}/drivers/${driver}/bind`, text(address), DEADLINE))
    expect(await bind('e1000e', CARD)).toBe('EBUSY')
    expect(await bind('e1000e', '0000:77:00.0')).toBe('ENODEV')
    expect(await bind('nvme', CARD)).toBe('ENODEV')
    expect(await bind('none', CARD)).toBe('ENOENT')
    expect(() => kernel.text(`${PCI}/drivers/e1000e/bind`)).toThrow('EACCES')
    expect(await codeOf(kernel.open('/sys/bus/pci'))).toBe('EISDIR')
  })

  it('keeps a write that sleeps, tells when its deadline passed, and lets it finish later', async () => {
    const clock = new HandClock()
    const kernel = modelKernel(bootedMachine(), { clock })
    await giveToVfio(kernel, USB)
    const { device } = await openDevice(kernel, USB)
    const unbind = codeOf(kernel.write(`${PCI}/drivers/vfio-pci/unbind`, text(USB), DEADLINE))
    expect(clock.waiting).toBe(1)
    clock.ring()
    expect(await unbind).toBe('ETIMEDOUT')
    // Still under way: nothing but the user's closing ends it.
    expect(kernel.exists(`${PCI}/drivers/vfio-pci/${USB}`)).toBe(false)
    expect(kernel.exists('/dev/vfio/' + groupOf(kernel, USB))).toBe(true)
    await device.close()
    expect(kernel.exists('/dev/vfio/' + groupOf(kernel, USB))).toBe(false)
  })

  it('calls the deadline off when the write is done in time', async () => {
    const clock = new HandClock()
    const kernel = modelKernel(bootedMachine(), { clock })
    await giveToVfio(kernel, USB)
    const { device } = await openDevice(kernel, USB)
    const unbind = kernel.write(`${PCI}/drivers/vfio-pci/unbind`, text(USB), DEADLINE)
    expect(clock.waiting).toBe(1)
    await device.close()
    await unbind
    expect(clock.waiting).toBe(0)
  })

  it('ends all that a process had when it is killed', async () => {
    const model = bootedMachine()
    const root = modelKernel(model, { clock: new HandClock() })
    await giveToVfio(root, USB)
    const program = root.as(model.createProcess({ name: 'program' }))
    await openDevice(program, USB)
    const node = `/dev/vfio/${groupOf(root, USB)}`
    expect(await codeOf(root.open(node))).toBe('EBUSY')
    await program.kill()
    const group = await root.open(node)
    await group.close()
    expect(program.process.openFiles()).toEqual([])
  })

  it('answers calls that a file does not have as Linux does', async () => {
    const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
    const container = await kernel.open('/dev/vfio/vfio')
    expect(container.ioctl(GET_API_VERSION, 0)).toBe(0)
    expect(() => container.read(0, 4)).toThrow('EINVAL')
    const counter = kernel.eventCounter()
    expect(() => kernel.handle(counter.descriptor, 'eventfd').ioctl(1, 0)).toThrow('ENOTTY')
    expect(() => kernel.handle(counter.descriptor, 'eventfd').map(0, 4096)).toThrow('ENODEV')
  })

  it('wakes who waits for an eventfd', async () => {
    const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
    const counter = kernel.eventCounter()
    const waiting = counter.ready()
    const three = new Uint8Array(8)
    three[0] = 3
    kernel.handle(counter.descriptor, 'eventfd').write(0, three)
    await waiting
    await counter.ready()
    expect(counter.take()).toBe(3)
    expect(counter.take()).toBe(0)
  })

  it('lets no group with a kernel driver in it go to a user', async () => {
    const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
    await giveToVfio(kernel, CARD)
    expect(kernel.link(`${PCI}/devices/${CARD_MATE}/driver`)).toMatch(/e1000e$/)
    expect(await codeOf(openDevice(kernel, CARD))).toBe('EPERM')
  })
})
