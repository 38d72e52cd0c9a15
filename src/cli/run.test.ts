import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { describeSnapshot } from '../isolation/snapshot.case.ts'
import { COMMANDS, GLOBAL_OPTIONS } from './command-table.ts'
import { hostOf, run } from './host.case.ts'

const HOST = hostOf(
  describeSnapshot({
    functions: [
      { at: '0000:00:01.0', type: 4, group: '1', driver: 'pcieport' },
      { at: '0000:01:00.0', parent: '0000:00:01.0', group: '1', driver: 'nvidia' },
    ],
  }),
)

describe('the command line', () => {
  it('prints help without opening a host and exits with 0', async () => {
    const { exit, stdout, stderr } = await run(['--help'])
    expect(exit).toBe(0)
    expect(stderr).toBe('')
    for (const { name, summary, hidden } of COMMANDS) {
      expect(stdout.includes(`  ${name}`) && stdout.includes(summary)).toBe(!hidden)
    }
  })

  it('prints the same help wherever it is asked for', async () => {
    const { stdout } = await run(['--help'])
    expect(await run(['-h'])).toEqual({ exit: 0, stdout, stderr: '' })
    expect(await run(['--json', '--help'])).toEqual({ exit: 0, stdout, stderr: '' })
    for (const [flags, description] of GLOBAL_OPTIONS) {
      expect(stdout).toMatch(new RegExp(`  ${flags} +${description.replace(/[()]/g, '.')}\n`))
    }
  })

  it('keeps every line of its help within 80 columns', async () => {
    const { stdout } = await run(['--help'])
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })

  it('explains in the help of what-if every change that there is', async () => {
    const { stdout } = await run(['what-if', '--help'])
    const { stderr } = await run(['what-if', ' '], {
      host: hostOf(describeSnapshot({ functions: [] })),
    })
    const forms = /changes are (.*)/.exec(stderr)?.[1]?.split(', ') ?? []
    expect(forms).toHaveLength(12)
    for (const form of forms) expect(stdout).toContain(form.split(/[ =]/)[0])
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })

  it('prints the help of a command', async () => {
    const { exit, stdout } = await run(['capture', '--help'])
    expect(exit).toBe(0)
    expect(stdout).toContain('--with-identifiers')
  })

  it('prints its version', async () => {
    expect(await run(['--version'])).toEqual({ exit: 0, stdout: '1.2.3\n', stderr: '' })
  })

  it('lists the groups when no command is given', async () => {
    const [bare, named] = [await run([], { host: HOST }), await run(['ls'], { host: HOST })]
    expect(bare).toEqual(named)
    expect(bare.exit).toBe(0)
    expect(bare.stdout).toContain('0000:01:00.0')
  })

  it('takes global options before and after the command', async () => {
    const opened: string[] = []
    const open = (source: string): Promise<typeof HOST> => {
      opened.push(source)
      return Promise.resolve(HOST)
    }
    const before = await run(['--host', 'file:x', '--json', '--kernel', '6.1', 'predict'], { open })
    const after = await run(['predict', '--kernel=6.1', '--json', '--host=file:x'], { open })
    expect(before.exit).toBe(0)
    expect(after).toEqual(before)
    expect(opened).toEqual(['file:x', 'file:x'])
    expect(JSON.parse(before.stdout)).toMatchObject({ kind: 'Prediction', kernel: '6.1' })
  })

  const misuses: readonly (readonly [argv: readonly string[], message: string])[] = [
    [['frobnicate'], '"frobnicate" is no command'],
    [['01:00.0'], '"01:00.0" is no command'],
    [['--frobnicate'], "unknown option '--frobnicate'"],
    [['ls', '--force'], "unknown option '--force'"],
    [['ls', 'more'], 'too many arguments'],
    [['show'], "missing required argument 'target'"],
    [['explain', 'a', 'b', 'c'], 'too many arguments'],
    [['--kernel', 'new', 'ls'], '--kernel "new" is no kernel version'],
    [['--color', 'blue', 'ls'], '--color "blue" is no choice'],
    [['--host'], "option '--host <source>' argument missing"],
  ]
  for (const [argv, message] of misuses) {
    it(`calls "${argv.join(' ')}" a usage error`, async () => {
      const { exit, stdout, stderr } = await run(argv, { host: HOST })
      expect(exit).toBe(2)
      expect(stdout).toBe('')
      expect(stderr).toContain(message)
      expect(stderr).toContain('next: ')
    })
  }

  it('suggests what was probably meant', async () => {
    expect((await run(['tre'])).stderr).toContain('next: isogroup tree')
    expect((await run(['help'])).stderr).toContain('next: isogroup --help')
    expect((await run(['zzzzzz'])).stderr).toContain('next: commands are ls, show,')
  })

  it('suggests show for a word that looks like a target', async () => {
    expect((await run(['01:00.0'])).stderr).toContain('next: isogroup show 01:00.0')
  })
})

describe('a failure', () => {
  const failing = (error: Error) => (): Promise<never> => Promise.reject(error)

  it('goes to stderr alone without --json', async () => {
    const open = failing(new IsogroupError('permission', 'may not read x', 'run it as root'))
    expect(await run(['ls'], { open })).toEqual({
      exit: 7,
      stdout: '',
      stderr: 'isogroup: may not read x\n  next: run it as root\n',
    })
  })

  it('is one object on stdout with --json, and the same text on stderr', async () => {
    const open = failing(new IsogroupError('bad-capture', 'x is no capture', 'make a new one'))
    const { exit, stdout, stderr } = await run(['ls', '--json'], { open })
    expect(exit).toBe(1)
    expect(JSON.parse(stdout)).toEqual({
      apiVersion: 'isogroup/v1',
      error: { code: 'bad-capture', message: 'x is no capture', hint: 'make a new one' },
    })
    expect(stderr).toContain('x is no capture')
  })

  it('of the command line itself is JSON too when --json is among the words', async () => {
    const { stdout } = await run(['--json', 'frobnicate'])
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'usage' } })
  })

  it('of a file that the system keeps from this user is one of permission', async () => {
    for (const [errno, exit, code] of [
      ['EACCES', 7, 'permission'],
      ['EPERM', 7, 'permission'],
      ['EIO', 1, 'io'],
    ] as const) {
      const cause = Object.assign(new Error(errno), { code: errno })
      const open = failing(new IsogroupError('io', 'cannot read x', '', { cause }))
      const outcome = await run(['ls', '--json'], { open })
      expect(outcome.exit).toBe(exit)
      expect(JSON.parse(outcome.stdout)).toMatchObject({ error: { code } })
    }
  })

  it('of isogroup itself exits with 1, with its stack on stderr', async () => {
    const { exit, stderr } = await run(['ls'], { open: failing(new TypeError('no such thing')) })
    expect(exit).toBe(1)
    expect(stderr).toContain('TypeError: no such thing\n    at ')
    expect(stderr).toContain('isogroup: no such thing')
  })

  it('names a missing device and exits with 4', async () => {
    const { exit, stderr } = await run(['explain', '02:00.0'], { host: HOST })
    expect(exit).toBe(4)
    expect(stderr).toContain('no device "02:00.0" on test')
  })
})

describe('a reader that goes away', () => {
  it('ends the command silently with 0', async () => {
    const outcome = await run(['predict'], { host: HOST, readerLeavesAfter: 0 })
    expect(outcome).toEqual({ exit: 0, stdout: '', stderr: '' })
  })

  it('does not hide a failure: the exit code and the message on stderr stay', async () => {
    const outcome = await run(['explain', 'x', '--json'], { host: HOST, readerLeavesAfter: 0 })
    expect(outcome.exit).toBe(4)
    expect(outcome.stdout).toBe('')
    expect(outcome.stderr).toContain('no device "x"')
  })
})
