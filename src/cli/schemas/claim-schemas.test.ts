/** What the commands print that give groups to users and take them back is valid by the published schemas. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openHost } from '../../open/open-host.ts'
import { openLiveHost } from '../../open/open-live-host.ts'
import { run } from '../host.case.ts'
import { validate } from './validate.case.ts'

const DISK = '0000:02:00.0'

let state = ''

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'isogroup-schemas-'))
})

afterEach(() => {
  rmSync(state, { recursive: true, force: true })
})

/** Kinds of all that was printed, each object valid. */
async function kindsOf(line: string, source: string): Promise<readonly string[]> {
  const words = [...line.split(' '), '--json', '--host', source, '--state', state]
  const { stdout } = await run(words, {
    open: openHost,
    openLive: (name, folder) => openLiveHost(name, { state: folder }),
    detached: () => Promise.resolve(),
  })
  return stdout
    .split('\n')
    .filter((text) => text !== '')
    .map(validate)
}

async function expectKinds(
  source: string,
  lines: readonly (readonly [kind: string, line: string])[],
): Promise<void> {
  for (const [kind, line] of lines) {
    const kinds = await kindsOf(line, source)
    expect([line, [...new Set(kinds)]]).toEqual([line, [kind]])
  }
}

describe('what the commands for claims print', () => {
  it('is valid from the plan to the way back', async () => {
    await expectKinds('model:server-sriov', [
      ['Plan', `plan ${DISK} --owner 1000:1000`],
      ['Plan', `claim ${DISK} --dry-run`],
      ['ClaimResult', `claim ${DISK} --yes --owner 1000:1000 --reason test`],
      ['ClaimResult', `claim ${DISK} --yes`],
      ['ClaimList', 'claims'],
      ['GuardEvent', 'guard --once'],
      ...['qemu', 'libvirt', 'cdi', 'udev'].map(
        (format) => ['Export', `export ${format} ${DISK}`] as const,
      ),
      // Another function has the same ids.
      ['Failure', `export modprobe ${DISK}`],
      ['ReleaseResult', `release ${DISK}`],
      ['ClaimResult', `claim ${DISK} --yes --confirm 60`],
      ['Confirmed', 'confirm'],
      ['ReleaseResult', `release ${DISK}`],
      ['ClaimList', 'claims'],
      ['Failure', `release ${DISK}`],
    ])
  })

  it('is valid for what is refused, and for records that are damaged', async () => {
    await expectKinds('model:desktop', [
      ['Plan', 'plan 02:00.0'],
      ['ClaimResult', 'claim 02:00.0 --yes'],
      ['Failure', 'claim 99:00.0 --yes'],
      ['Recovery', 'recover'],
    ])
    await expectKinds('model:server-sriov', [['ClaimResult', `claim ${DISK} --yes`]])
    for (const name of readdirSync(state).filter((one) => one.startsWith('claim-'))) {
      writeFileSync(join(state, name), 'damaged\n')
    }
    await expectKinds('model:server-sriov', [
      ['ClaimList', 'claims'],
      ['Recovery', 'recover'],
    ])
  })
})
