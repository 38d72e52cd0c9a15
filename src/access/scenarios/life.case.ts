/** Devices that go and come back, contexts that are refused, and what is left of them. */
import assert from 'node:assert/strict'
import { encodeUtf8 } from '../../base/utf8.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { Context } from '../context.ts'
import type { Device } from '../device.ts'
import { DeviceRemovedError } from '../device-removed-error.ts'
import { groupOf } from '../group-of.ts'
import { openContext } from '../open-context.ts'
import { computes } from './device.case.ts'
import {
  type AccessWorld,
  BELOW,
  BUFFER,
  PAGE,
  PATIENCE,
  refused,
  soon,
  TO_DEVICE,
  transfer,
  withContext,
} from './world.case.ts'

export async function removed(world: AccessWorld): Promise<void> {
  const [wanted, other] = world.edu
  const told: string[] = []
  const onRemovalRequest = async ({ address }: Device): Promise<void> => {
    told.push(address)
    await soon(50)
  }
  const body = async (context: Context): Promise<void> => {
    const [device, mate] = world.edu.map((address) => context.device(address)) as [Device, Device]
    for (const one of [device, mate]) one.enable()
    const memory = context.allocate(PAGE)
    const { iova } = context.map(memory, BELOW)
    const registers = device.bar(0)
    const waiting = device.interrupts('msi').vector(0).next()
    const lost = assert.rejects(waiting, DeviceRemovedError)
    const path = `/sys/bus/pci/devices/${wanted}/remove`
    await world.kernel.write(path, encodeUtf8('1\n'), PATIENCE)
    await Promise.all([lost, device.removed])
    assert.deepEqual(told, [wanted])
    assert.throws(() => registers.read32(0), DeviceRemovedError)
    assert.throws(() => device.config.read16(0), DeviceRemovedError)
    assert.throws(() => context.device(wanted), /there is no device/)
    // The others go on.
    await transfer(mate, iova, BUFFER, TO_DEVICE)
    context.map(context.allocate(PAGE))
  }
  await withContext(world, [wanted, other], body, { onRemovalRequest })
  await comeBack(world.kernel, wanted)
  await computes(world)
}

/** Its only device goes, and the group with it: nothing is mapped any more, and the context can be closed. */
export async function removedAlone(world: AccessWorld): Promise<void> {
  const [wanted] = world.edu
  await withContext(world, [wanted], async (context) => {
    const device = context.device(wanted)
    device.enable()
    const memory = context.allocate(PAGE)
    const mapping = context.map(memory, BELOW)
    context.map(context.allocate(PAGE))
    const path = `/sys/bus/pci/devices/${wanted}/remove`
    await world.kernel.write(path, encodeUtf8('1\n'), PATIENCE)
    await device.removed
    context.unmap(mapping)
    memory.release()
  })
  await comeBack(world.kernel, wanted)
  await computes(world)
}

/** The host finds the device again, and it goes to its user as before. */
async function comeBack(kernel: Kernel, address: string): Promise<void> {
  const text = (path: string, line: string): Promise<void> =>
    kernel.write(path, encodeUtf8(`${line}\n`), PATIENCE)
  await text('/sys/bus/pci/rescan', '1')
  await text(`/sys/bus/pci/devices/${address}/driver_override`, 'vfio-pci')
  await text('/sys/bus/pci/drivers_probe', address)
}

export async function refusals(world: AccessWorld): Promise<void> {
  const { kernel, edu } = world
  await withContext(world, [edu[0]], async (context) => {
    await refused(() => openContext({ kernel }, [edu[0]]), /is in use: it has one user at a time/)
    await refused(() => context.device(edu[1]), /which is not in the context/)
    await refused(() => context.device('ff:00.0'), /there is no device 0000:ff:00.0/)
    await refused(() => context.device('nonsense'), /is no address of a device/)
    await refused(() => context.allocate(0), /no number of bytes/)
    await refused(() => context.addGroup('4711'), /there is no .dev.vfio.4711/)
  })
  await refused(() => openContext({ kernel }, []), /a context needs a group/)
  const context = await openContext({ kernel }, [edu[0]])
  await context.close()
  await context.close()
  await refused(() => context.allocate(PAGE), /the context is closed/)
  await oneInUse(world)
}

/** A member goes back to nobody: the group has no VFIO node then. */
async function oneInUse({ kernel, edu }: AccessWorld): Promise<void> {
  const text = (path: string, line: string): Promise<void> =>
    kernel.write(path, encodeUtf8(`${line}\n`), PATIENCE)
  const group = groupOf(kernel, edu[1])
  await text('/sys/bus/pci/drivers/vfio-pci/unbind', edu[1])
  await refused(
    () => openContext({ kernel }, [edu[1]]),
    new RegExp(`no member of group ${group} is on a VFIO driver`),
  )
  await text('/sys/bus/pci/drivers_probe', edu[1])
}

export async function leavesNothing(world: AccessWorld): Promise<void> {
  const open = (): number => world.kernel.list('/proc/self/fd').length
  const once = (): Promise<void> =>
    withContext(world, world.edu, async (context) => {
      const device = context.device(world.edu[0])
      device.enable()
      device.interrupts('msi')
      const memory = context.allocate(PAGE)
      for (let n = 0; n < 20; n++) context.unmap(context.map(memory))
      context.map(memory)
      await soon(0)
    })
  await once()
  const before = open()
  for (let n = 0; n < 10; n++) await once()
  assert.equal(open(), before)
  const locked = /^VmLck:\s+(\d+)/m.exec(world.kernel.text('/proc/self/status'))?.[1]
  assert.equal(locked, '0')
}
