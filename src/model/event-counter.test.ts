import { describe, expect, it } from 'vitest'
import { errnoOf } from './vfio/machine.case.ts'
import { EventCounter } from './event-counter.ts'

describe('EventCounter', () => {
  it('adds up signals until somebody takes them', () => {
    const counter = new EventCounter()
    counter.signal()
    counter.signal(3)
    expect(counter.count).toBe(4)
    expect(counter.take()).toBe(4)
    expect(counter.take()).toBe(0)
  })

  it('is read and written in eight bytes, as eventfd is', () => {
    const counter = new EventCounter()
    expect(errnoOf(() => counter.read(0, 8))).toBe('EAGAIN')
    expect(counter.write(0, Uint8Array.of(5, 1, 0, 0, 0, 0, 0, 0))).toBe(8)
    expect(errnoOf(() => counter.read(0, 4))).toBe('EINVAL')
    expect([...counter.read(0, 8)]).toEqual([5, 1, 0, 0, 0, 0, 0, 0])
    expect(errnoOf(() => counter.write(0, new Uint8Array(8).fill(0xff)))).toBe('EINVAL')
    expect(errnoOf(() => counter.write(0, new Uint8Array(7)))).toBe('EINVAL')
  })

  it('tells a listener of what happened before, and of nothing after it stops', () => {
    const counter = new EventCounter()
    const heard: number[] = []
    counter.signal()
    const stop = counter.listen(() => heard.push(counter.take()))
    counter.signal(2)
    stop()
    counter.signal(4)
    expect(heard).toEqual([1, 2])
  })

  it('tells who waits that the last descriptor is closed', () => {
    const counter = new EventCounter()
    let gone = 0
    counter.onRelease(() => {
      gone += 1
    })
    counter.release()
    counter.onRelease(() => {
      gone += 1
    })
    expect(gone).toBe(2)
  })
})
