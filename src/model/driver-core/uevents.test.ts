import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { runNow } from '../task.ts'
import { addDevice, removeDevice } from './add-device.ts'
import { Device, type DeviceInit } from './device.ts'
import { bytesOf, type FakeWorld, fakeWorld, outcomeOf } from './fake-bus.case.ts'
import { parseSyntheticEvent } from './synthetic-event.ts'
import type { Uevent } from './uevents.ts'

function record({ context }: FakeWorld): Uevent[] {
  const seen: Uevent[] = []
  context.uevents.listen((event) => seen.push(event))
  return seen
}

function linesOf(event: Uevent | undefined): string[] {
  return (event?.variables ?? []).map(([key, value]) => `${key}=${value}`)
}

function addTo(world: FakeWorld, init: Partial<DeviceInit>): Device {
  const device = new Device({ name: 'x', parent: null, bus: null, ...init })
  runNow(addDevice(world.context, device))
  return device
}

describe('an event', () => {
  it('has its pairs in the order of the kernel', () => {
    const world = fakeWorld()
    const seen = record(world)
    world.register('a')
    const device = world.add('a1')
    device.ueventVariables = () => [
      ['COLOUR', 'red'],
      ['MODALIAS', 'toy:a1'],
    ]
    expect(world.write('/devices/a1/uevent', 'change')).toBe('ok')
    expect(linesOf(seen.at(-1))).toEqual([
      'ACTION=change',
      'DEVPATH=/devices/a1',
      'SUBSYSTEM=toy',
      'SYNTH_UUID=0',
      'DRIVER=a',
      'COLOUR=red',
      'MODALIAS=toy:a1',
      'SEQNUM=4',
    ])
    expect(seen.map(({ action }) => action)).toEqual(['add', 'add', 'bind', 'change'])
    expect(world.read('/devices/a1/uevent')).toBe('DRIVER=a\nCOLOUR=red\nMODALIAS=toy:a1\n')
  })

  it('of a driver that left names neither a driver nor what to look for', () => {
    const world = fakeWorld()
    world.register('a')
    const device = world.add('a1')
    device.ueventVariables = () => [['MODALIAS', 'toy:a1']]
    const seen = record(world)
    expect(world.write('/bus/toy/drivers/a/unbind', 'a1')).toBe('ok')
    runNow(removeDevice(world.context, device))
    expect(seen.map((event) => linesOf(event).slice(3, -1))).toEqual([[], ['MODALIAS=toy:a1']])
  })

  it('tells the node of a device, and its permissions where they are not the usual ones', () => {
    const world = fakeWorld()
    const seen = record(world)
    const node = { devt: '10:196', path: 'vfio/vfio' }
    addTo(world, { className: 'misc', node: { ...node, mode: 0o666 } })
    addTo(world, { name: 'y', className: 'misc', node: { ...node, mode: 0o600 } })
    const shown = ['MAJOR=10', 'MINOR=196', 'DEVNAME=vfio/vfio']
    expect(linesOf(seen[0]).slice(3, -1)).toEqual([...shown, 'DEVMODE=0666'])
    expect(linesOf(seen[1]).slice(3, -1)).toEqual(shown)
    expect(world.read('/class/misc/x/dev')).toBe('10:196\n')
  })

  it('is never sent of a device that is on no bus and in no class', () => {
    const world = fakeWorld()
    const seen = record(world)
    const device = addTo(world, { name: 'pci0000:00' })
    expect(world.write('/devices/pci0000:00/uevent', 'add')).toBe('ok')
    expect(world.read('/devices/pci0000:00/uevent')).toBe('')
    runNow(removeDevice(world.context, device))
    expect(seen).toEqual([])
    expect(world.context.uevents.sequence).toBe(0)
  })

  it('does not reach who stopped listening', () => {
    const world = fakeWorld()
    const seen: Uevent[] = []
    const stop = world.context.uevents.listen((event) => seen.push(event))
    world.add('a1')
    stop()
    world.add('a2')
    expect(seen).toHaveLength(1)
  })
})

describe('an event that user space asks for', () => {
  const uuid = 'fe4d7c9d-b8c6-4a70-9ef1-3d8a58d18eed'
  const parse = (text: string): unknown => outcomeOf(() => parseSyntheticEvent(bytesOf(text)))

  it('is an action, and may carry a UUID and pairs', () => {
    expect(parse('add')).toEqual({ action: 'add', variables: [['SYNTH_UUID', '0']] })
    expect(parse('offline\n')).toMatchObject({ action: 'offline' })
    expect(parse('bind\0')).toMatchObject({ action: 'bind' })
    expect(parse(`change ${uuid}\n`)).toEqual({
      action: 'change',
      variables: [['SYNTH_UUID', uuid]],
    })
    expect(parse(`change ${uuid} A=1 b2=Cd`)).toEqual({
      action: 'change',
      variables: [
        ['SYNTH_UUID', uuid],
        ['SYNTH_ARG_A', '1'],
        ['SYNTH_ARG_b2', 'Cd'],
      ],
    })
  })

  it('is nothing else', () => {
    for (const text of [
      'explode',
      'ADD',
      'ad',
      'adds',
      '\n',
      'add\n\n',
      ' add',
      'add ',
      'add 0',
      `add ${uuid} `,
      `add ${uuid}A=1`,
      `add ${uuid} A`,
      `add ${uuid} A=`,
      `add ${uuid} =1`,
      `add ${uuid} A=1  B=2`,
      `add ${uuid} A_B=1`,
      `add ${uuid.replace('f', 'g')}`,
    ]) {
      expect(parse(text), JSON.stringify(text)).toBe('EINVAL')
    }
  })

  it('carries every pair of letters and digits as it was written', () => {
    const word = fc.stringMatching(/^[a-zA-Z0-9]{1,8}$/)
    fc.assert(
      fc.property(fc.uuid(), fc.array(fc.tuple(word, word), { maxLength: 4 }), (id, pairs) => {
        const text = ['change', id, ...pairs.map((pair) => pair.join('='))].join(' ')
        expect(parse(text)).toEqual({
          action: 'change',
          variables: [
            ['SYNTH_UUID', id],
            ...pairs.map(([key, value]) => [`SYNTH_ARG_${key}`, value]),
          ],
        })
      }),
    )
  })

  it('is explained in the log when it is wrong', () => {
    const world = fakeWorld()
    world.add('a1')
    expect(world.write('/devices/a1/uevent', 'explode')).toBe('EINVAL')
    world.register('a')
    expect(world.write('/bus/toy/devices/a1/uevent', 'add x')).toBe('EINVAL')
    expect(world.context.log).toEqual([
      'synth uevent: /devices/a1: unknown uevent action string',
      'toy a1: uevent: failed to send synthetic uevent: -22',
      'synth uevent: /devices/a1: incorrect uevent action arguments',
      'a a1: uevent: failed to send synthetic uevent: -22',
    ])
  })
})
