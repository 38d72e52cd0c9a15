import { describe, expect, it } from 'vitest'
import { decodeUtf8 } from '../base/utf8.ts'
import { Device } from './driver-core/device.ts'
import { Uevents } from './driver-core/uevents.ts'
import { ueventSource } from './uevent-source.ts'

function deviceNamed(name: string): Device {
  return new Device({
    name,
    parent: null,
    bus: null,
    className: 'net',
    root: '/devices/virtual/net',
  })
}

describe('ueventSource()', () => {
  it('gives datagrams as the kernel sends them', async () => {
    const uevents = new Uevents()
    const events = ueventSource(uevents)
    uevents.emit('add', deviceNamed('lo'))
    const first: IteratorResult<Uint8Array, unknown> = await events[Symbol.asyncIterator]().next()
    expect(decodeUtf8(first.value as Uint8Array)).toBe(
      'add@/devices/virtual/net/lo\0ACTION=add\0DEVPATH=/devices/virtual/net/lo\0SUBSYSTEM=net\0SEQNUM=1\0',
    )
  })

  it('hands an event to whoever waits, and keeps those nobody waits for, in order', async () => {
    const uevents = new Uevents()
    const iterator = ueventSource(uevents)[Symbol.asyncIterator]()
    const first = iterator.next()
    for (const name of ['a', 'b', 'c']) uevents.emit('add', deviceNamed(name))
    const heads = [await first, await iterator.next(), await iterator.next()].map(
      ({ value }) => decodeUtf8(value as Uint8Array).split('\0')[0],
    )
    expect(heads).toEqual(['a', 'b', 'c'].map((name) => `add@/devices/virtual/net/${name}`))
  })

  it('says nothing of what was before, and ends when it is closed', async () => {
    const uevents = new Uevents()
    uevents.emit('add', deviceNamed('early'))
    const events = ueventSource(uevents)
    const iterator = events[Symbol.asyncIterator]()
    const pending = iterator.next()
    await events.close()
    uevents.emit('add', deviceNamed('late'))
    expect(await pending).toEqual({ done: true, value: undefined })
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })
})
