import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Errno } from './errno.ts'
import { Mutex, runNow, Scheduler, step, type Task, wait } from './task.ts'

/** Says what it does before and after a step. */
function* worker(story: string[], name: string): Task<string> {
  story.push(`${name} begins`)
  yield* step(`${name} half way`)
  story.push(`${name} ends`)
  return name
}

describe('wait()', () => {
  it('does not yield when there is nothing to wait for', () => {
    expect(wait('now', () => true).next()).toEqual({ done: true, value: undefined })
    expect(wait('later', () => false).next().done).toBe(false)
  })

  it('looks again when it is woken too early', () => {
    let open = false
    const waiting = wait('gate', () => open)
    waiting.next()
    expect(waiting.next().done).toBe(false)
    open = true
    expect(waiting.next().done).toBe(true)
  })
})

describe('a mutex', () => {
  it('lets one in at a time, in every order of the tasks', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2), { maxLength: 40 }), (order) => {
        const mutex = new Mutex('door')
        const scheduler = new Scheduler()
        let inside = 0
        let served = 0
        const enter = function* (): Task<void> {
          inside += 1
          expect(inside).toBe(1)
          yield* step('inside')
          inside -= 1
          served += 1
        }
        const threads = [0, 1, 2].map((number) =>
          scheduler.start(String(number), mutex.with(enter), () => undefined),
        )
        for (const number of order) {
          const thread = threads[number]
          if (thread !== undefined && scheduler.isReady(thread)) scheduler.advance(thread)
        }
        scheduler.settle()
        expect([served, mutex.held]).toEqual([3, false])
      }),
    )
  })

  it('is free again after a body that throws', () => {
    const mutex = new Mutex('door')
    const fail = function* (): Task<void> {
      yield* step('fails')
      throw new Errno('EIO')
    }
    expect(() => {
      runNow(mutex.with(fail))
    }).toThrow('EIO')
    expect(mutex.held).toBe(false)
    expect([mutex.tryAcquire(), mutex.tryAcquire()]).toEqual([true, false])
  })

  it('is not recursive', () => {
    const mutex = new Mutex('door')
    expect(() => {
      runNow(mutex.with(() => mutex.acquire()))
    }).toThrow('would sleep at lock door')
    expect(mutex.held).toBe(false)
  })
})

describe('a scheduler', () => {
  it('runs nothing by itself, and one step at a time', () => {
    const story: string[] = []
    const scheduler = new Scheduler()
    const results: unknown[] = []
    const start = (name: string): ReturnType<Scheduler['start']> =>
      scheduler.start(name, worker(story, name), (outcome) => results.push(outcome))
    const [a, b] = [start('a'), start('b')]
    expect(story).toEqual([])
    scheduler.advance(b)
    scheduler.advance(a)
    expect(b.pause).toEqual({ at: 'b half way' })
    scheduler.advance(b)
    expect(story).toEqual(['b begins', 'a begins', 'b ends'])
    expect(scheduler.threads).toEqual([a])
    expect([a.done, b.done]).toEqual([false, true])
    scheduler.settle()
    expect(results).toEqual([{ value: 'b' }, { value: 'a' }])
    expect(scheduler.isReady(a)).toBe(false)
    expect(() => {
      scheduler.advance(a)
    }).toThrow('a is not a thread')
  })

  it('tells what a task threw, and goes on with the others', () => {
    const scheduler = new Scheduler()
    const outcomes: unknown[] = []
    const error = new Errno('ENODEV')
    const fail = function* (): Task<void> {
      yield* step('fails')
      throw error
    }
    scheduler.start('fails', fail(), (outcome) => outcomes.push(outcome))
    scheduler.start('works', worker([], 'works'), (outcome) => outcomes.push(outcome))
    scheduler.settle()
    expect(outcomes).toEqual([{ error }, { value: 'works' }])
  })

  it('leaves asleep what waits, until its condition holds', () => {
    const scheduler = new Scheduler()
    let open = false
    let through = false
    const thread = scheduler.start(
      'guest',
      wait('gate', () => open),
      () => {
        through = true
      },
    )
    scheduler.settle()
    expect(scheduler.isReady(thread)).toBe(false)
    expect(thread.pause?.at).toBe('gate')
    open = true
    expect(scheduler.isReady(thread)).toBe(true)
    scheduler.settle()
    expect(through).toBe(true)
  })

  it('settles what a task that ends has started', () => {
    const scheduler = new Scheduler()
    const story: string[] = []
    scheduler.start('first', worker(story, 'first'), () => {
      scheduler.start('second', worker(story, 'second'), () => undefined)
    })
    scheduler.settle()
    expect(story.at(-1)).toBe('second ends')
  })
})

describe('runNow()', () => {
  it('runs through steps and gives the result', () => {
    const story: string[] = []
    expect(runNow(worker(story, 'a'))).toBe('a')
    expect(story).toEqual(['a begins', 'a ends'])
  })

  it('gives up what would sleep, and frees what it held', () => {
    const mutex = new Mutex('door')
    expect(() => {
      runNow(mutex.with(() => wait('for ever', () => false)))
    }).toThrow(expect.objectContaining({ code: 'EDEADLK' }))
    expect(mutex.held).toBe(false)
  })
})
