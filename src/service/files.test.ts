import { spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { stateFolder } from './files.ts'

let base = ''

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'isogroup-files-'))
})

afterEach(() => {
  rmSync(base, { recursive: true })
})

describe('a folder of records', () => {
  it('is made when something is written, and empty until then', () => {
    const folder = join(base, 'a', 'b')
    const state = stateFolder(folder)
    expect(state.list()).toEqual([])
    expect(state.read('x')).toBeNull()
    expect(existsSync(folder)).toBe(false)
    state.append('x', 'one\n')
    state.append('x', 'two\n')
    expect(state.read('x')).toBe('one\ntwo\n')
    expect(state.list()).toEqual(['x'])
    expect(statSync(folder).mode & 0o777).toBe(0o755)
    expect(statSync(join(folder, 'x')).mode & 0o777).toBe(0o644)
  })

  it('replaces a file in one piece and leaves nothing beside it', () => {
    const state = stateFolder(base)
    state.replace('x', 'a long text')
    state.replace('x', 'short ü')
    expect(state.read('x')).toBe('short ü')
    expect(readdirSync(base)).toEqual(['x'])
  })

  it('removes what is there, and minds nothing that is not', () => {
    const state = stateFolder(base)
    state.append('x', '1')
    state.remove('x')
    state.remove('x')
    expect(state.list()).toEqual([])
  })

  it('follows no link in the place of a record', () => {
    const elsewhere = join(base, 'elsewhere')
    writeFileSync(elsewhere, 'mine')
    const folder = join(base, 'state')
    mkdirSync(folder)
    symlinkSync(elsewhere, join(folder, 'x'))
    symlinkSync(elsewhere, join(folder, 'y.new'))
    const state = stateFolder(folder)
    expect(() => state.append('x', 'yours')).toThrow(/ELOOP/)
    expect(() => state.read('x')).toThrow(/ELOOP/)
    expect(() => state.replace('y', 'yours')).toThrow(/ELOOP/)
    state.replace('x', 'yours')
    expect(readFileSync(elsewhere, 'utf8')).toBe('mine')
  })

  it('is not read where others could have written', () => {
    const state = stateFolder(base)
    state.replace('x', 'text')
    for (const mode of [0o664, 0o646]) {
      chmodSync(join(base, 'x'), mode)
      expect(() => state.read('x')).toThrow(`cannot trust ${join(base, 'x')}: others may write it`)
    }
    chmodSync(join(base, 'x'), 0o600)
    expect(state.read('x')).toBe('text')
  })

  it.runIf(process.geteuid?.() === 0)('is not read by root when another user made it', () => {
    const state = stateFolder(base)
    state.replace('x', 'text')
    chownSync(join(base, 'x'), 1000, 0)
    expect(() => state.read('x')).toThrow('user 1000 made it')
  })

  it('says what is in the way when the folder is none', () => {
    writeFileSync(join(base, 'file'), '')
    const state = stateFolder(join(base, 'file'))
    expect(() => state.append('x', '1')).toThrow(/cannot write .*EEXIST|ENOTDIR/)
    expect(() => state.list()).toThrow(/cannot look into .*ENOTDIR/)
  })
})

describe('the lock of a folder', () => {
  it('is held by one at a time, and waited for', async () => {
    const state = stateFolder(base)
    const unlock = await state.lock('changes', 0)
    await expect(state.lock('changes', 120)).rejects.toMatchObject({ code: 'refused' })
    const waiting = state.lock('changes', 10_000)
    unlock()
    const again = await waiting
    again()
    expect(readdirSync(base)).toEqual([])
  })

  it('is given back once, and never taken from the next one', async () => {
    const state = stateFolder(base)
    const first = await state.lock('changes', 0)
    first()
    const second = await state.lock('changes', 0)
    first()
    await expect(state.lock('changes', 0)).rejects.toMatchObject({ code: 'refused' })
    second()
  })

  it.each([
    ['a process that is no more', (own: Holder) => ({ ...own, pid: 2 ** 22 + 1 })],
    ['a process whose number was used again', (own: Holder) => ({ ...own, started: '1' })],
    ['another boot', (own: Holder) => ({ ...own, boot: 'other' })],
  ])('is taken over from %s', async (_who, change) => {
    const state = stateFolder(base)
    const unlock = await state.lock('changes', 0)
    const own = JSON.parse(readFileSync(join(base, 'lock'), 'utf8')) as Holder
    unlock()
    writeFileSync(join(base, 'lock'), JSON.stringify(change(own)))
    const taken = await state.lock('changes', 0)
    taken()
    expect(readdirSync(base)).toEqual([])
  })

  it.each(['', '{', '{}', 'null', '[]'])(
    'is taken over when it is no lock at all: %j',
    async (text) => {
      writeFileSync(join(base, 'lock'), text)
      const unlock = await stateFolder(base).lock('changes', 0)
      unlock()
      expect(readdirSync(base)).toEqual([])
    },
  )

  it('is taken over from a process that was killed while it held it', async () => {
    const child = spawn('sleep', ['60'])
    const pid = child.pid ?? 0
    const status = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
    const holder = {
      pid,
      started: status.slice(status.lastIndexOf(')') + 2).split(' ')[19],
      boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    }
    writeFileSync(join(base, 'lock'), JSON.stringify(holder))
    await expect(stateFolder(base).lock('changes', 100)).rejects.toThrow(String(pid))
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
    const unlock = await stateFolder(base).lock('changes', 1000)
    unlock()
  })

  it('lets nobody in beside another, however many come at once after a crash', async () => {
    writeFileSync(join(base, 'lock'), '{"pid":4194305,"started":"1","boot":"x"}')
    linkSync(join(base, 'lock'), join(base, 'kept'))
    let inside = 0
    let worst = 0
    const one = async (): Promise<void> => {
      const unlock = await stateFolder(base).lock('changes', 60_000)
      inside += 1
      worst = Math.max(worst, inside)
      await new Promise((resolve) => setTimeout(resolve, 1))
      inside -= 1
      unlock()
    }
    await Promise.all(Array.from({ length: 12 }, one))
    expect(worst).toBe(1)
  })
})

interface Holder {
  readonly pid: number
  readonly started: string
  readonly boot: string
}
