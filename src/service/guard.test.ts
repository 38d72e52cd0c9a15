/** The guard on a machine whose devices come, go, and are taken by others. */
import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../base/utf8.ts'
import { deviceTemplate } from '../model/hardware/devices/catalogue.ts'
import type { DeviceTemplate } from '../model/hardware/devices/catalogue.ts'
import {
  type CrashWorld,
  crashWorld,
  difference,
  requestFor,
  start,
  visibleState,
} from './crash-world.case.ts'
import type { GuardEvent } from './guard-event.ts'

const PCI = '/sys/bus/pci'
/** On the conventional bus of the built-in machine, with its mates. */
const RESIDENT = '0000:02:01.0'
const NEWCOMER = '0000:02:05.0'
const BRIDGE = '0000:01:00.0'

const REQUEST = requestFor([RESIDENT], { allow: ['CLAIM-ROUTE', 'CLAIM-LINK'] })

function template(kind: string): DeviceTemplate {
  const found = deviceTemplate(kind)
  if (found === undefined) throw new Error(`no kind of device "${kind}"`)
  return found
}

async function claimedWorld(): Promise<CrashWorld> {
  const world = await crashWorld()
  expect(await start(world).isolator.claim(REQUEST)).toMatchObject({ kind: 'done' })
  return world
}

async function plugIn({ model }: CrashWorld, kind = 'pci-nic'): Promise<void> {
  model.run('plug', model.hotAdd(template(kind), BRIDGE, 5 << 3))
  await Promise.resolve()
}

function pullOut({ model }: CrashWorld): void {
  model.run('pull', model.hotRemove(NEWCOMER))
}

async function look(world: CrashWorld): Promise<readonly GuardEvent[]> {
  const events: GuardEvent[] = []
  await start(world).isolator.guardOnce((event) => void events.push(event))
  return events
}

function driverOf({ kernel }: CrashWorld, address: string): string | null {
  const path = `${PCI}/devices/${address}/driver`
  return kernel.exists(path) ? (kernel.link(path).split('/').at(-1) ?? null) : null
}

function write({ kernel }: CrashWorld, path: string, text: string): Promise<void> {
  return kernel.write(path, encodeUtf8(text), 1000)
}

const kinds = (events: readonly GuardEvent[]): readonly string[] => events.map(({ kind }) => kind)

describe('a look of the guard', () => {
  it('says how well a group is kept, and changes nothing, when it is whole', async () => {
    const world = await claimedWorld()
    const before = visibleState(world)
    expect(await look(world)).toEqual([
      {
        kind: 'protection',
        protection: 'watched',
        claim: '00000001',
        group: expect.any(String) as string,
      },
    ])
    expect(difference(before, visibleState(world))).toEqual([])
  })

  it('takes a newcomer from the driver that was faster, and gives it back on release', async () => {
    const world = await claimedWorld()
    await plugIn(world)
    expect(driverOf(world, NEWCOMER)).toBe('e1000')
    const events = await look(world)
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'newcomer', address: NEWCOMER, driver: 'e1000' }),
    )
    expect(events.at(-1)).toMatchObject({ kind: 'protection', protection: 'watched' })
    expect(driverOf(world, NEWCOMER)).toBe('vfio-pci')
    expect(start(world).isolator.claims()).toMatchObject([{ protection: 'watched', changes: [] }])
    expect(kinds(await look(world))).toEqual(['protection'])
    await start(world).isolator.release(NEWCOMER)
    expect(driverOf(world, NEWCOMER)).toBe('e1000')
  })

  it('leaves the host as it was when the newcomer has gone and the claim is released', async () => {
    const world = await crashWorld()
    const before = visibleState(world)
    await start(world).isolator.claim(REQUEST)
    await plugIn(world)
    await look(world)
    pullOut(world)
    expect(kinds(await look(world))).toEqual(['protection'])
    expect(start(world).isolator.claims()).toMatchObject([{ changes: [] }])
    await start(world).isolator.release(RESIDENT)
    expect(difference(before, visibleState(world))).toEqual([])
  })

  it('aims a newcomer that no driver had, and offers it to all when the claim is released', async () => {
    const world = await claimedWorld()
    await plugIn(world)
    await write(world, `${PCI}/drivers/e1000/unbind`, NEWCOMER)
    const events = await look(world)
    expect(events).toContainEqual(expect.objectContaining({ kind: 'newcomer', driver: null }))
    expect(driverOf(world, NEWCOMER)).toBe('vfio-pci')
    await start(world).isolator.release(RESIDENT)
    expect(driverOf(world, NEWCOMER)).toBe('e1000')
    expect(world.kernel.text(`${PCI}/devices/${NEWCOMER}/driver_override`)).toBe('(null)\n')
  })

  it('finds a newcomer again that a guard aimed and did not live to write down', async () => {
    for (const next of ['guard', 'release'] as const) {
      const world = await claimedWorld()
      await plugIn(world)
      await write(world, `${PCI}/drivers/e1000/unbind`, NEWCOMER)
      await write(world, `${PCI}/devices/${NEWCOMER}/driver_override`, 'vfio-pci')
      if (next === 'guard') {
        await look(world)
        expect(driverOf(world, NEWCOMER)).toBe('vfio-pci')
      }
      await start(world).isolator.release(RESIDENT)
      expect(world.kernel.text(`${PCI}/devices/${NEWCOMER}/driver_override`)).toBe('(null)\n')
      expect(driverOf(world, NEWCOMER)).toBe('e1000')
    }
  })

  it('puts back a device that was taken from the claim by hand, and does not fight for ever', async () => {
    const world = await claimedWorld()
    const take = async (): Promise<void> => {
      await write(world, `${PCI}/devices/${RESIDENT}/driver/unbind`, RESIDENT)
      await write(world, `${PCI}/devices/${RESIDENT}/driver_override`, '\n')
      await write(world, `${PCI}/drivers_probe`, RESIDENT)
    }
    const said: GuardEvent[] = []
    const guard = start(world).guard((event) => void said.push(event))
    let kept = 0
    for (let n = 0; n < 8; n++) {
      await take()
      await guard.look()
      if (driverOf(world, RESIDENT) === 'vfio-pci') kept++
    }
    expect(kept).toBeGreaterThan(1)
    expect(kept).toBeLessThan(8)
    expect(said.filter(({ kind }) => kind === 'alarm')).toHaveLength(1)
    expect(said.at(-1)).toMatchObject({ kind: 'protection', protection: 'broken' })
    world.now += 61_000
    await guard.look()
    expect(driverOf(world, RESIDENT)).toBe('vfio-pci')
    expect(kinds(said).slice(-2)).toEqual(['well', 'protection'])
  })

  it('leaves groups alone that nobody claimed, and bridges in those that somebody did', async () => {
    const world = await crashWorld()
    await plugIn(world)
    await look(world)
    expect(driverOf(world, NEWCOMER)).toBe('e1000')
    await start(world).isolator.claim(REQUEST)
    await look(world)
    expect(world.kernel.text(`${PCI}/devices/${BRIDGE}/driver_override`)).toBe('(null)\n')
  })

  it('gives the node back to its owner when all devices came again', async () => {
    const world = await claimedWorld()
    const group = world.kernel.link(`${PCI}/devices/${RESIDENT}/iommu_group`).split('/').at(-1)
    const node = `/dev/vfio/${group ?? ''}`
    await world.kernel.setOwner(node, 0, 0)
    await look(world)
    expect(world.kernel.stat(node)).toMatchObject({ uid: 1000, gid: 1000 })
  })

  it('undoes a claim that nobody confirmed', async () => {
    const world = await crashWorld()
    const before = visibleState(world)
    await start(world).isolator.claim({ ...REQUEST, confirmSeconds: 5 })
    world.now += 6000
    expect(await look(world)).toEqual([{ kind: 'unconfirmed', claim: '00000001', left: [] }])
    expect(difference(before, visibleState(world))).toEqual([])
  })
})
