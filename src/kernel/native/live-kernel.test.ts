import { execFile, execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { KernelError } from '../kernel.ts'
import { liveKernel } from './live-kernel.ts'
import { loadKernelModule } from './module-loader.ts'

const root = mkdtempSync(join(tmpdir(), 'isogroup-live-'))
const kernel = liveKernel(root)
const DEADLINE = 20_000
afterAll(() => rmSync(root, { recursive: true, force: true }))

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

async function failure(doing: () => unknown): Promise<unknown> {
  try {
    return ['answered', await doing()]
  } catch (cause) {
    if (cause instanceof KernelError) return [cause.code, cause.action, cause.path]
    throw cause
  }
}

describe('liveKernel().write()', () => {
  it('overwrites from the start and does not truncate', async () => {
    writeFileSync(join(root, 'file'), 'abcdef')
    await kernel.write('/file', bytes('XY'), DEADLINE)
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('XYcdef')
  })

  it('writes all bytes, also those that are no text', async () => {
    const value = Uint8Array.from({ length: 5000 }, (_, n) => n % 256)
    writeFileSync(join(root, 'binary'), '')
    await kernel.write('/binary', value, DEADLINE)
    expect(new Uint8Array(readFileSync(join(root, 'binary')))).toEqual(value)
  })

  it('reports the errno of a file that is missing, a directory, or outside', async () => {
    mkdirSync(join(root, 'folder'))
    const write = (path: string) => failure(() => kernel.write(path, bytes('1'), DEADLINE))
    expect(await write('/missing')).toEqual(['ENOENT', 'write', '/missing'])
    expect(await write('/folder')).toEqual(['EISDIR', 'write', '/folder'])
    expect(await write('/a/../../b')).toEqual(['EINVAL', 'write', '/a/../../b'])
  })

  it("reports the write's own errno", async () => {
    symlinkSync('/dev/full', join(root, 'full'))
    expect(await failure(() => kernel.write('/full', bytes('1'), DEADLINE))).toEqual([
      'ENOSPC',
      'write',
      '/full',
    ])
  })

  it('makes writes that are under way at the same time', async () => {
    const names = Array.from({ length: 5 }, (_, n) => `many${String(n)}`)
    for (const name of names) writeFileSync(join(root, name), '')
    await Promise.all(names.map((name) => kernel.write(`/${name}`, bytes(name), DEADLINE)))
    expect(names.map((name) => readFileSync(join(root, name), 'utf8'))).toEqual(names)
  })

  it('gives up on a write that hangs, writes on, and is not kept alive by it', async () => {
    // Opening a pipe that nobody reads hangs as a write to sysfs does.
    execFileSync('mkfifo', [join(root, 'pipe')])
    writeFileSync(join(root, 'after'), '')
    const script = join(root, 'script.mjs')
    await bundle(script)
    const started = performance.now()
    const { stdout } = await promisify(execFile)(process.execPath, [script, root])
    expect(stdout).toBe('ETIMEDOUT\nwritten\n')
    expect(performance.now() - started).toBeLessThan(DEADLINE)
    expect(readFileSync(join(root, 'after'), 'utf8')).toBe('1')
    // Lets the writer that was left behind go.
    execFileSync('sh', ['-c', `timeout 20 cat "${join(root, 'pipe')}"`])
  })
})

describe('liveKernel().setOwner() and setMode()', () => {
  it('change what stat tells, links followed', async () => {
    writeFileSync(join(root, 'node'), '')
    symlinkSync('node', join(root, 'node-link'))
    await kernel.setMode('/node-link', 0o640)
    const before = kernel.stat('/node')
    expect(before.mode).toBe(0o640)
    await kernel.setOwner('/node-link', before.uid, before.gid)
    expect(kernel.stat('/node')).toEqual(before)
  })

  it.runIf(process.getuid?.() === 0)('give files to other users as root', async () => {
    writeFileSync(join(root, 'given'), '')
    await kernel.setOwner('/given', 12345, 54321)
    expect(kernel.stat('/given')).toMatchObject({ uid: 12345, gid: 54321 })
  })

  it.runIf(process.getuid?.() !== 0)('are refused ordinary users', async () => {
    writeFileSync(join(root, 'kept'), '')
    expect(await failure(() => kernel.setOwner('/kept', 12345, 54321))).toEqual([
      'EPERM',
      'chown',
      '/kept',
    ])
  })
})

describe('loadKernelModule()', () => {
  const program = (name: string, script: string): string => {
    const path = join(root, name)
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return path
  }
  const load = (path: string, deadline = DEADLINE): Promise<unknown> =>
    failure(() => loadKernelModule('vfio_pci', deadline, path))

  it('passes the name after --, and is done when the program says so', async () => {
    const path = program('good', `[ "$1 $2 $#" = "-- vfio_pci 2" ]`)
    expect(await load(path)).toEqual(['answered', undefined])
  })

  it.each([
    ['modprobe: FATAL: Module vfio_pci not found in directory /lib/modules/6.12.1', 'ENOENT'],
    ["modprobe: ERROR: could not insert 'vfio_pci': Operation not permitted", 'EPERM'],
    ["modprobe: ERROR: could not insert 'vfio_pci': Key was rejected by service", 'EKEYREJECTED'],
    ['modprobe: something nobody expected', 'EIO'],
  ])('knows "%s" as %s', async (message, code) => {
    expect(await load(program('bad', `echo "${message}" >&2; exit 1`))).toEqual([
      code,
      'load',
      'vfio_pci',
    ])
  })

  it('tells that there is no modprobe', async () => {
    expect(await load(join(root, 'nowhere'))).toEqual(['ENOENT', 'load', 'vfio_pci'])
  })

  it('leaves a program behind that does not end', async () => {
    const started = performance.now()
    const path = program('slow', `sleep 5`)
    expect(await load(path, 200)).toEqual(['ETIMEDOUT', 'load', 'vfio_pci'])
    expect(performance.now() - started).toBeLessThan(4000)
  })
})

/** A program of its own, because how it ends is what is tested. */
async function bundle(outfile: string): Promise<void> {
  const { build } = await import('esbuild')
  const contents = `
    import { fileWriter } from './writer.ts'
    const writer = fileWriter(process.argv[2])
    const one = new Uint8Array([0x31])
    await writer.write('/pipe', one, 300).catch((error) => console.log(error.code))
    await writer.write('/after', one, 20000)
    console.log('written')
  `
  await build({
    stdin: { contents, resolveDir: import.meta.dirname, loader: 'ts' },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'silent',
  })
}

describe('liveKernel().memory()', () => {
  it('gives zeroed pages that system calls can reach by address', async () => {
    const memory = kernel.memory(5000)
    expect(memory.bytes.length).toBe(8192)
    expect(memory.address % 4096).toBe(0)
    expect(memory.bytes.every((byte) => byte === 0)).toBe(true)
    memory.bytes.set([1, 2, 3], 4096)
    const handle = await liveKernel().open('/proc/self/mem')
    expect([...handle.read(memory.address + 4096, 4)]).toEqual([1, 2, 3, 0])
    expect(handle.write(memory.address, Uint8Array.of(9))).toBe(1)
    expect(memory.bytes[0]).toBe(9)
    await handle.close()
    memory.release()
    memory.release()
  })

  it('gives memory on addresses for huge pages', () => {
    const memory = kernel.memory(3 * 2 ** 20, 'huge')
    expect(memory.address % 2 ** 21).toBe(0)
    expect(memory.bytes.length).toBe(4 * 2 ** 20)
    memory.bytes.fill(1)
    memory.release()
  })

  it('leaves zeros to whoever still looks at what was given back', () => {
    for (const pages of ['small', 'huge'] as const) {
      const memory = kernel.memory(4096, pages)
      const { bytes } = memory
      bytes[0] = 7
      memory.release()
      expect(bytes[0]).toBe(0)
      bytes[0] = 1
    }
  })

  it('refuses lengths that make no memory', async () => {
    expect(await failure(() => kernel.memory(0))).toEqual(['EINVAL', 'memory', 'anonymous memory'])
    expect(await failure(() => kernel.memory(2 ** 50))).toEqual([
      'ENOMEM',
      'memory',
      'anonymous memory',
    ])
  })
})

describe('liveKernel().open()', () => {
  it('reads, writes, maps and closes', async () => {
    writeFileSync(join(root, 'device'), new Uint8Array(8192))
    const handle = await kernel.open('/device')
    expect(handle.write(4096, bytes('hello'))).toBe(5)
    expect(new TextDecoder().decode(handle.read(4096, 5))).toBe('hello')
    expect(handle.read(8190, 100).length).toBe(2)
    const window = handle.map(4096, 4096)
    expect(new TextDecoder().decode(window.bytes.slice(0, 5))).toBe('hello')
    window.bytes[0] = 0x48
    expect(new TextDecoder().decode(handle.read(4096, 5))).toBe('Hello')
    window.release()
    await handle.close()
    await handle.close()
    expect(await failure(() => handle.read(0, 1))).toEqual(['EBADF', 'read', '/device'])
  })

  it('makes ioctls with a buffer and with a number, and names their errno', async () => {
    const fionread = 0x541b
    writeFileSync(join(root, 'three'), 'abc')
    const handle = await kernel.open('/three')
    const count = new Uint8Array(4)
    expect(handle.ioctl(fionread, count)).toBe(0)
    expect([...count]).toEqual([3, 0, 0, 0])
    expect(await failure(() => handle.ioctl(0x3b64, 0))).toEqual(['ENOTTY', 'ioctl', '/three'])
    const same = kernel.handle(handle.descriptor, 'the same')
    expect([...same.read(0, 3)]).toEqual([...bytes('abc')])
    await handle.close()
    expect(await failure(() => same.ioctl(fionread, count))).toEqual(['EBADF', 'ioctl', 'the same'])
  })

  it('names the errno of a node that does not open', async () => {
    expect(await failure(() => kernel.open('/none'))).toEqual(['ENOENT', 'open', '/none'])
  })
})

describe('liveKernel().eventCounter()', () => {
  it('counts, wakes who waits, and takes once', async () => {
    const counter = kernel.eventCounter()
    const add = (count: bigint) => writeSync(counter.descriptor, BigUint64Array.of(count))
    expect(counter.take()).toBe(0)
    const woken = Promise.all([counter.ready(), counter.ready()])
    add(2n)
    add(3n)
    await woken
    await counter.ready()
    expect(counter.take()).toBe(5)
    expect(counter.take()).toBe(0)
    counter.close()
  })

  it('fails who waits when it is closed', async () => {
    const counter = kernel.eventCounter()
    const waiting = failure(() => counter.ready())
    counter.close()
    counter.close()
    expect(await waiting).toEqual(['EBADF', 'read', 'eventfd'])
    expect(await failure(() => counter.ready())).toEqual(['EBADF', 'read', 'eventfd'])
    expect(await failure(() => counter.take())).toEqual(['EBADF', 'read', 'eventfd'])
  })
})

describe('liveKernel().events()', () => {
  it('ends for who waits when it is closed', async () => {
    const events = kernel.events()
    const next = events[Symbol.asyncIterator]().next()
    await events.close()
    await events.close()
    expect(await next).toEqual({ done: true, value: undefined })
    expect(await events[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined })
  })
})
