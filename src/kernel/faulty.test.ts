import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../base/utf8.ts'
import { type Fault, faulty, type FaultyKernel, Killed } from './faulty.ts'
import { type EventSource, type Kernel, KernelError } from './kernel.ts'
import { readOnly } from './read-only.ts'

/** A kernel that notes what is done to it; what is at /refused it refuses. */
function notebook(): { readonly kernel: Kernel; readonly done: string[] } {
  const done: string[] = []
  const note = (what: string): Promise<void> => {
    if (what.includes('/refused')) return Promise.reject(new KernelError('ENODEV', 'write', what))
    done.push(what)
    return Promise.resolve()
  }
  const view = {
    read: () => new Uint8Array(1),
    text: () => done.join(),
    link: () => 'link',
    list: () => ['name'],
    exists: () => true,
    stat: () => ({ uid: 0, gid: 0, mode: 0o600 }),
  }
  const kernel: Kernel = {
    ...readOnly(view),
    write: (path, bytes) => note(`write ${path} ${String(bytes.length)}`),
    setOwner: (path) => note(`chown ${path}`),
    setMode: (path) => note(`chmod ${path}`),
    loadModule: (name) => note(`load ${name}`),
  }
  return { kernel, done }
}

const one = encodeUtf8('1')

/** Four changes, one of each kind; how each came back. */
async function fourChanges(kernel: Kernel): Promise<readonly string[]> {
  const calls = [
    () => kernel.write('/a', one, 1),
    () => kernel.setOwner('/b', 1, 1),
    () => kernel.setMode('/b', 0o600),
    () => kernel.loadModule('vfio', 1),
  ]
  const answers: string[] = []
  for (const call of calls) {
    try {
      await call()
      answers.push('done')
    } catch (cause) {
      answers.push(cause instanceof KernelError ? cause.code : (cause as Error).name)
    }
  }
  return answers
}

const ALL = ['write /a 1', 'chown /b', 'chmod /b', 'load vfio']

function broken(...faults: readonly Fault[]): { kernel: FaultyKernel; done: string[] } {
  const { kernel, done } = notebook()
  return { kernel: faulty(kernel, faults), done }
}

describe('faulty()', () => {
  it('passes everything on as long as nothing is wrong, and notes the changes', async () => {
    const { kernel, done } = broken()
    expect(await fourChanges(kernel)).toEqual(['done', 'done', 'done', 'done'])
    expect(done).toEqual(ALL)
    expect(kernel.changes.map(({ action, path }) => `${action} ${path}`)).toEqual([
      'write /a',
      'chown /b',
      'chmod /b',
      'load vfio',
    ])
    expect(kernel.changes[0]?.bytes).toEqual(one)
    expect(kernel.killed).toBe(false)
  })

  it.each([1, 2, 3, 4])('fails change number %i alone, before it happens', async (at) => {
    const { kernel, done } = broken({ kind: 'errno', at, code: 'EIO' })
    const answers = await fourChanges(kernel)
    expect(answers).toEqual(['done', 'done', 'done', 'done'].with(at - 1, 'EIO'))
    expect(done).toEqual(ALL.toSpliced(at - 1, 1))
  })

  it('fails every change of a path that matches', async () => {
    const { kernel, done } = broken({ kind: 'errno', at: /^\/b$/, code: 'EROFS' })
    expect(await fourChanges(kernel)).toEqual(['done', 'EROFS', 'EROFS', 'done'])
    expect(done).toEqual(['write /a 1', 'load vfio'])
    expect(kernel.changes).toHaveLength(4)
  })

  it.each([1, 2, 3, 4])('kills the process before change number %i', async (at) => {
    const { kernel, done } = broken({ kind: 'kill', at, effect: 'none' })
    const answers = await fourChanges(kernel)
    expect(answers).toEqual(answers.map((_, n) => (n < at - 1 ? 'done' : 'Killed')))
    expect(done).toEqual(ALL.slice(0, at - 1))
    expect(kernel.killed).toBe(true)
  })

  it.each([1, 2, 3, 4])('kills the process after change number %i', async (at) => {
    const { kernel, done } = broken({ kind: 'kill', at, effect: 'done' })
    const answers = await fourChanges(kernel)
    expect(answers).toEqual(answers.map((_, n) => (n < at - 1 ? 'done' : 'Killed')))
    expect(done).toEqual(ALL.slice(0, at))
  })

  it('answers nothing any more once killed', async () => {
    const { kernel } = broken()
    expect(kernel.text('/x')).toBe('')
    kernel.kill()
    const calls: readonly (() => unknown)[] = [
      () => kernel.read('/x'),
      () => kernel.text('/x'),
      () => kernel.link('/x'),
      () => kernel.list('/x'),
      () => kernel.exists('/x'),
      () => kernel.stat('/x'),
      () => kernel.handle(3, 'x'),
      () => kernel.memory(1),
      () => kernel.eventCounter(),
      () => kernel.events(),
    ]
    for (const call of calls) expect(call).toThrow(Killed)
    await expect(kernel.open('/x')).rejects.toBeInstanceOf(Killed)
    expect(await fourChanges(kernel)).toEqual(['Killed', 'Killed', 'Killed', 'Killed'])
    expect(kernel.changes).toEqual([])
  })

  it('gives no answer to what was under way when the process was killed', async () => {
    const { kernel: below, done } = notebook()
    let finish = (): void => undefined
    const slow: Kernel = {
      ...below,
      write: () =>
        new Promise((resolve) => {
          finish = resolve
        }),
    }
    const kernel = faulty(slow)
    const writing = kernel.write('/a', one, 1)
    kernel.kill()
    finish()
    await expect(writing).rejects.toBeInstanceOf(Killed)
    expect(done).toEqual([])
  })

  it('ends those who wait for events', async () => {
    const source: EventSource = {
      close: () => Promise.resolve(),
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false as const, value: one }),
      }),
    }
    const kernel = faulty({ ...notebook().kernel, events: () => source })
    const events = kernel.events()[Symbol.asyncIterator]()
    expect(await events.next()).toEqual({ done: false, value: one })
    const waiting = events.next()
    kernel.kill()
    await expect(waiting).rejects.toBeInstanceOf(Killed)
    await expect(events.next()).rejects.toBeInstanceOf(Killed)
  })

  it.each([
    ['done', ALL, ALL],
    ['none', ALL.toSpliced(1, 1), ALL.toSpliced(1, 1)],
    ['later', ALL.toSpliced(1, 1), [...ALL.toSpliced(1, 1), 'chown /b']],
  ] as const)('is late with an effect "%s"', async (effect, atOnce, inTheEnd) => {
    const { kernel, done } = broken({ kind: 'late', at: 2, effect })
    expect(await fourChanges(kernel)).toEqual(['done', 'ETIMEDOUT', 'done', 'done'])
    expect(done).toEqual(atOnce)
    await kernel.happen()
    await kernel.happen()
    expect(done).toEqual(inTheEnd)
  })

  it('keeps to itself what the kernel said to a change whose answer nobody hears', async () => {
    const refused = { path: '/refused' }
    for (const effect of ['done', 'later'] as const) {
      const { kernel } = broken({ kind: 'late', at: 1, effect })
      await expect(kernel.write(refused.path, one, 1)).rejects.toMatchObject({ code: 'ETIMEDOUT' })
      await kernel.happen()
    }
    const { kernel } = broken({ kind: 'kill', at: 1, effect: 'done' })
    await expect(kernel.write(refused.path, one, 1)).rejects.toBeInstanceOf(Killed)
  })
})
