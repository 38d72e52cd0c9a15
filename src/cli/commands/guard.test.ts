/** `guard` through the command line, on a model that remembers. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openHost } from '../../open/open-host.ts'
import { openLiveHost } from '../../open/open-live-host.ts'
import { SYSTEM_CLOCK } from '../../open/system-clock.ts'
import { type Outcome, type RunOptions, run } from '../host.case.ts'

/** An NVMe disk that nothing uses. */
const SERVER = 'model:server-sriov'
const DISK = '0000:02:00.0'

let state = ''

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'isogroup-guard-'))
})

afterEach(() => {
  rmSync(state, { recursive: true, force: true })
})

function on(source: string, line: string, options: RunOptions = {}): Promise<Outcome> {
  return runWords([...line.split(' '), '--host', source, '--state', state], options)
}

function runWords(words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return run(words, {
    open: openHost,
    openLive: (name, folder) => openLiveHost(name, { state: folder }),
    ...options,
  })
}

/** Until a guard has taken its lock. */
async function guardRuns(): Promise<void> {
  while (!existsSync(join(state, 'guard.lock'))) await SYSTEM_CLOCK.sleep(1)
}

describe('guard', () => {
  it('says how well claims are kept, looks once, and ends', async () => {
    await on(SERVER, `claim ${DISK} --yes`)
    const { exit, stdout } = await on(SERVER, 'guard --once')
    expect(exit).toBe(0)
    expect(stdout).toMatch(/^[0-9a-f]{8} {2}group 9 {2}watched: nobody has it open/)
  })

  it('goes on until it is told to end, and says one object a line with --json', async () => {
    await on(SERVER, `claim ${DISK} --yes`)
    const end = new AbortController()
    const running = on(SERVER, 'guard --json --every 1', { interruption: end.signal })
    await guardRuns()
    end.abort()
    const { exit, stdout } = await running
    expect(exit).toBe(0)
    const [line = '', ...more] = stdout.trim().split('\n')
    expect(more).toEqual([])
    expect(JSON.parse(line)).toMatchObject({
      kind: 'GuardEvent',
      event: 'protection',
      protection: 'watched',
      group: '9',
    })
  })

  it('is one at a time', async () => {
    const end = new AbortController()
    const running = on(SERVER, 'guard', { interruption: end.signal })
    await guardRuns()
    const { exit, stderr } = await on(SERVER, 'guard --once')
    expect(exit).toBe(3)
    expect(stderr).toContain('another guard is running')
    end.abort()
    await running
  })

  it.each(['0', '-1', '1e3', '99999', ''])('takes no --every of "%s"', async (every) => {
    const words = ['guard', '--every', every, '--host', SERVER, '--state', state]
    expect((await runWords(words)).exit).toBe(2)
  })
})
