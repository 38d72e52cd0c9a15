/** What people and programs read of `what-if`. */
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { openHost } from '../../open/open-host.ts'
import { type Outcome, run } from '../host.case.ts'
import type { WhatIfJson } from '../json/what-if-json.ts'
import { SHAPES } from '../schemas/schema-files.ts'

function ask(name: string, ...words: readonly string[]): Promise<Outcome> {
  return run(['--host', `model:${name}`, 'what-if', ...words], { open: openHost })
}

async function json(name: string, ...words: readonly string[]): Promise<WhatIfJson> {
  const { exit, stdout } = await ask(name, '--json', ...words)
  expect(exit).toBe(0)
  const value = JSON.parse(stdout) as WhatIfJson
  const shape = SHAPES['WhatIf']
  if (shape === undefined) throw new Error('no shape')
  expect(v.safeParse(shape, value).issues).toBeUndefined()
  return value
}

describe('what-if in words', () => {
  it('shows groups that fall together, before and after', async () => {
    const { exit, stdout, stderr } = await ask('desktop', 'acs=off@00:01.0')
    expect(exit).toBe(0)
    const short = stdout.split('\n').map((line) => line.replace(/ +(Red Hat|NVIDIA)\b.*/, ''))
    expect(short).toEqual([
      'other groups',
      '- group 1     TDPMRI  viable',
      '-   0000:00:01.0  pcieport',
      '- group 6     TDPMRI  not-viable',
      '-   0000:01:00.0  nouveau',
      '-   0000:01:00.1  snd_hda_intel',
      '+ group 1     TDPMRI  not-viable',
      '+   0000:00:01.0  pcieport',
      '+   0000:01:00.0  nouveau',
      '+   0000:01:00.1  snd_hda_intel',
      '',
    ])
    expect(stderr).toContain('9 groups before, 8 after: 1 difference\n')
  })

  it('says that nothing is different, and what a new or moved device is called', async () => {
    const same = await ask('desktop', 'acs=on@00:1c.0')
    expect([same.exit, same.stdout]).toEqual([0, ''])
    expect(same.stderr).toContain('9 groups before, 9 after: no group would be different')
    const added = await ask('desktop', 'add root-port 0000:00', 'add nvme new1')
    expect(added.stderr).toContain('note: new2 (nvme) is 0000:02:00.0')
    expect(added.stderr).toContain('0000:02:00.0 becomes 0000:03:00.0')
  })

  it('names the guarantee that is lost, with what it rests on', async () => {
    const { stdout } = await ask('desktop', 'intremap=off')
    expect(stdout).toContain('msi: yes becomes no: interrupt chip IO-APIC: not remapped')
  })

  it('refuses a change that cannot be made: what, why, and what could be', async () => {
    const { exit, stdout, stderr } = await ask('desktop', 'move', '02:00.0', '00:1c.1')
    expect([exit, stdout]).toEqual([2, ''])
    expect(stderr).toContain('no slot is free below 0000:00:1c.1, which has 0000:03:00.0\n')
    expect(stderr).toContain('next: no port has room; there is room on root bus 0000:00')
    const { stdout: failure } = await ask('desktop', '--json', 'vfs', '02:00.0', '1')
    expect(JSON.parse(failure)).toMatchObject({
      error: { code: 'bad-change', message: '0000:02:00.0 has no SR-IOV capability' },
    })
  })
})

describe('what-if --json', () => {
  it('holds both sides in full, and says what was added, renamed and removed', async () => {
    const answer = await json('server-sriov', 'vfs 01:00.0 5', 'remove 02:00.0', 'add edu 00:02.0')
    expect(answer.changes).toEqual([
      { kind: 'vfs', device: '0000:01:00.0', count: 5 },
      { kind: 'remove', device: '0000:02:00.0' },
      { kind: 'add', what: 'edu', port: '0000:00:02.0' },
    ])
    expect(answer.added).toEqual([{ name: 'new1', what: 'edu', address: '0000:02:00.0' }])
    expect(answer.renamed).toEqual([
      { before: '0000:01:11.2', after: null },
      { before: '0000:02:00.0', after: null },
    ])
    expect(answer.before.groups).toHaveLength(18)
    expect(answer.after.groups).toHaveLength(17)
    expect(answer.differences.map(({ kind }) => kind)).toEqual(['added', 'removed', 'removed'])
    expect([answer.assumed, answer.deviations]).toEqual([[], []])
  })

  it('tells what it had to assume of a recorded host', async () => {
    const { assumed, deviations } = await json('asus-pn51', 'kernel=6.1')
    expect(assumed).toContain('interrupt remapping: on')
    expect(deviations).toEqual([])
  })
})
