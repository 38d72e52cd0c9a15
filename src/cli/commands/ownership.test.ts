/** Plan, claim, release, claims, confirm and recover through the command line, on models that remember. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openHost } from '../../open/open-host.ts'
import { openLiveHost } from '../../open/open-live-host.ts'
import { SYSTEM_CLOCK } from '../../open/system-clock.ts'
import { type Outcome, type RunOptions, run } from '../host.case.ts'

/** An NVMe disk that nothing uses, and groups for each way to be refused. */
const SERVER = 'model:server-sriov'
const DISK = '0000:02:00.0'
/** Four devices behind one conventional bridge. */
const BRIDGE = 'model:conventional-bridge'

let state = ''

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'isogroup-cli-'))
})

afterEach(() => {
  rmSync(state, { recursive: true, force: true })
})

/** Runs a command of a model whose memory is in `state`. */
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

/** Everything that `export` tells of the drivers of a model now. */
async function driverOf(source: string, address: string): Promise<string | null> {
  const host = await openLiveHost(source, { state })
  return host.state([address]).devices[0]?.driver ?? null
}

interface ClaimsJson {
  readonly claims: readonly { readonly id: string; readonly state: string }[]
}

async function claimsOf(source: string): Promise<ClaimsJson['claims']> {
  const { stdout } = await on(source, 'claims --json')
  return (JSON.parse(stdout) as ClaimsJson).claims
}

describe('plan', () => {
  it('shows every member, what it would get and what the host would lose', async () => {
    const { exit, stdout, stderr } = await on(SERVER, `plan ${DISK} --owner 1000:1000`)
    expect(exit).toBe(0)
    expect(stdout).toMatch(/0000:02:00\.0 +nvme +vfio-pci/)
    expect(stdout).toMatch(/lost +disk nvme0n1, NVMe controller nvme0/)
    expect(stderr).toContain('ready, 1 device would go to vfio-pci')
    expect(stderr).toContain(`next: isogroup claim ${DISK} --owner 1000:1000 --host ${SERVER}`)
  })

  it('is refused with its findings, their codes and what to do, and exits with 3', async () => {
    const { exit, stdout, stderr } = await on('model:desktop', 'plan 02:00.0')
    expect(exit).toBe(3)
    expect(stdout).toContain('CLAIM-ROOT-DISK')
    expect(stdout).toContain('do: ')
    expect(stderr).toContain('refused because of')
    expect(stderr).toContain('CLAIM-ROOT-DISK')
    expect(stderr).toContain('cannot be allowed')
  })

  it('prints one object with --json, also when it refuses', async () => {
    const { exit, stdout } = await on('model:desktop', 'plan 02:00.0 --json')
    expect(exit).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'Plan', verdict: 'refused' })
  })

  it('takes any member, or the group, for all of the group', async () => {
    const outcomes = await Promise.all(
      ['02:01.0', '03:01.0', 'pci_0000_02_02_0', 'eth0'].map((it) => on(BRIDGE, `plan ${it}`)),
    )
    const [first, ...others] = outcomes.map(({ stdout }) => stdout)
    expect(first).toContain('0000:03:01.0')
    for (const other of others) expect(other).toBe(first)
  })

  it('says that a model without --state keeps nothing', async () => {
    const { stderr } = await runWords(['plan', DISK, '--host', SERVER])
    expect(stderr).toContain('keeps nothing of what is done to it without --state DIR')
  })

  it('refuses sources that are records of a host', async () => {
    const { exit, stderr } = await runWords(['plan', '01:00.0', '--host', 'lspci:board.txt'])
    expect(exit).toBe(2)
    expect(stderr).toContain('is a record of a host and cannot be changed')
  })
})

describe('claim --dry-run', () => {
  it('prints every write in order and makes none', async () => {
    const { exit, stdout } = await on(SERVER, `claim ${DISK} --owner 1000:1000 --dry-run`)
    expect(exit).toBe(0)
    const writes = stdout.split('\n').filter((line) => line.startsWith('  /'))
    expect(writes.map((line) => line.trim().split('  '))).toEqual([
      ['/sys/bus/pci/devices/0000:02:00.0/driver_override', '"vfio-pci\\n"'],
      ['/sys/bus/pci/drivers/nvme/unbind', '"0000:02:00.0\\n"'],
      ['/sys/bus/pci/drivers_probe', '"0000:02:00.0\\n"'],
      expect.arrayContaining(['chown 1000:1000']) as unknown,
      expect.arrayContaining(['chmod 600']) as unknown,
    ])
    expect(await driverOf(SERVER, DISK)).toBe('nvme')
    expect(await claimsOf(SERVER)).toEqual([])
  })

  it('needs no permission and says what is in the way', async () => {
    const outcome = await on('model:desktop', 'claim 02:00.0 --dry-run', { uid: 1000 })
    expect(outcome.exit).toBe(3)
    expect(outcome.stdout).toBe('')
    expect(outcome.stderr).toContain('CLAIM-ROOT-DISK')
  })
})

describe('claim and release', () => {
  it('moves the whole group and gives it back by the name of another member', async () => {
    const claimed = await on(BRIDGE, 'claim 02:01.0 --yes --reason tests')
    expect([claimed.exit, claimed.stderr]).toEqual([0, expect.stringContaining('claimed')])
    const id = claimed.stdout.trim()
    expect(id).toMatch(/^[0-9a-f]{8}$/)
    for (const address of ['0000:02:01.0', '0000:02:02.0', '0000:03:01.0']) {
      expect(await driverOf(BRIDGE, address)).toBe('vfio-pci')
    }
    const listed = await on(BRIDGE, 'claims')
    expect(listed.stdout).toContain(id)
    expect(listed.stdout).toContain('tests')
    const released = await on(BRIDGE, 'release 03:01.0')
    expect(released.exit).toBe(0)
    expect(await driverOf(BRIDGE, '0000:02:01.0')).toBe('e1000')
    expect(await claimsOf(BRIDGE)).toEqual([])
  })

  it('is released by its id, and by the beginning of it', async () => {
    for (const length of [8, 5]) {
      const { stdout } = await on(SERVER, `claim ${DISK} --yes`)
      const { exit } = await on(SERVER, `release ${stdout.slice(0, length)}`)
      expect(exit).toBe(0)
      expect(await driverOf(SERVER, DISK)).toBe('nvme')
    }
  })

  it('says that there is nothing to do when it is done already', async () => {
    await on(SERVER, `claim ${DISK} --yes`)
    const again = await on(SERVER, `claim ${DISK} --yes`)
    expect(again.exit).toBe(0)
    expect(again.stderr).toContain('nothing to do')
    expect((await claimsOf(SERVER)).length).toBe(1)
  })

  it('asks at the terminal, and takes nothing but yes for a yes', async () => {
    for (const answer of ['', 'n', 'no', 'yess', 'Y ']) {
      const { exit, stderr } = await on(SERVER, `claim ${DISK}`, { answer })
      expect([answer, exit]).toEqual([answer, answer === 'Y ' ? 0 : 3])
      expect(stderr).toContain('Claim it? [y/N]')
    }
    expect(await driverOf(SERVER, DISK)).toBe('vfio-pci')
  })

  it('takes no terminal and no --yes for a no', async () => {
    const { exit, stdout, stderr } = await on(SERVER, `claim ${DISK}`)
    expect([exit, stdout]).toEqual([3, ''])
    expect(stderr).toContain('nobody is at a terminal to say yes; nothing was changed')
    expect(await driverOf(SERVER, DISK)).toBe('nvme')
  })

  it('prints one object with --json', async () => {
    const { stdout } = await on(SERVER, `claim ${DISK} --yes --json`)
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'ClaimResult', outcome: 'done' })
    const released = await on(SERVER, `release ${DISK} --json`)
    expect(JSON.parse(released.stdout)).toMatchObject({ kind: 'ReleaseResult', outcome: 'done' })
  })

  it('says what no claim holds', async () => {
    for (const [target, exit] of [
      [DISK, 4],
      ['deadbeef', 4],
      ['group:4711', 4],
    ] as const) {
      expect([target, (await on(SERVER, `release ${target}`)).exit]).toEqual([target, exit])
    }
  })
})

describe('what speaks against a claim', () => {
  const refusals: readonly (readonly [source: string, target: string, code: string])[] = [
    ['model:desktop', '01:00.0', 'CLAIM-DISPLAY'],
    ['model:desktop', '02:00.0', 'CLAIM-SWAP'],
    [SERVER, '01:00.0', 'CLAIM-VFS'],
    [SERVER, 'eth1', 'CLAIM-ROUTE'],
  ]
  for (const [source, target, code] of refusals) {
    it(`is ${code} for ${target} of ${source}, and nothing changes`, async () => {
      const { exit, stderr } = await on(source, `claim ${target} --yes`)
      expect(exit).toBe(3)
      expect(stderr).toContain(code)
      expect(stderr).toContain('nothing was changed')
      expect(await claimsOf(source)).toEqual([])
    })
  }

  it('is overridden by its code alone, and recorded', async () => {
    expect((await on('model:desktop', 'claim 01:00.0 --yes --allow CLAIM-ROUTE')).exit).toBe(3)
    const { exit } = await on('model:desktop', 'claim 01:00.0 --yes --allow CLAIM-DISPLAY')
    expect(exit).toBe(0)
    expect((await on('model:desktop', 'claims')).stdout).toContain('CLAIM-DISPLAY')
  })

  it('makes one of several targets stop all of them', async () => {
    const { exit } = await on(SERVER, `claim ${DISK} eth1 --yes`)
    expect(exit).toBe(3)
    expect(await driverOf(SERVER, DISK)).toBe('nvme')
  })
})

describe('a user who is not root', () => {
  it('is told the command for an administrator, with every word quoted, and exits with 7', async () => {
    const opened: string[] = []
    const { exit, stdout, stderr } = await runWords(['claim', DISK, '--reason', "it's mine"], {
      uid: 1000,
      openLive: (source) => {
        opened.push(source)
        return openLiveHost(SERVER, { state: null })
      },
    })
    expect([exit, stdout, opened]).toEqual([7, '', ['linux']])
    expect(stderr).toContain(`next: sudo isogroup claim ${DISK} --reason 'it'\\''s mine'`)
  })

  it('may change models', async () => {
    expect((await on(SERVER, `claim ${DISK} --yes`, { uid: 1000 })).exit).toBe(0)
  })
})

describe('hostile words', () => {
  const lines: readonly (readonly [words: readonly string[], exit: number])[] = [
    [['claim'], 2],
    [['claim', ''], 2],
    [['claim', '01:00.0\n'], 2],
    [['claim', 'x'.repeat(5000)], 2],
    [['claim', '../../etc/passwd'], 4],
    [['claim', '/sys/../etc'], 4],
    [['claim', 'group:99999999'], 4],
    [['claim', DISK, '--driver', '../nvme'], 2],
    [['claim', DISK, '--driver', 'vfio pci'], 2],
    [['claim', DISK, '--driver', ''], 2],
    [['claim', DISK, '--driver', 'a', '--driver', 'b'], 2],
    [['claim', DISK, '--owner', 'nobody-of-this-name'], 4],
    [['claim', DISK, '--owner', '-1'], 2],
    [['claim', DISK, '--owner', '1:2:3'], 2],
    [['claim', DISK, '--allow', 'CLAIM-NOTHING'], 2],
    [['claim', DISK, '--allow', '*'], 2],
    [['claim', DISK, '--confirm', '-5'], 2],
    [['claim', DISK, '--confirm', '0'], 2],
    [['claim', DISK, '--confirm', '1.5'], 2],
    [['claim', DISK, '--confirm', '1e9'], 2],
    [['claim', DISK, '--reason', 'two\nlines'], 2],
    [['claim', DISK, '--reason', '\x1b]0;title\x07'], 2],
    [['claim', DISK, '--reason', 'x'.repeat(300)], 2],
    [['claim', ...Array.from({ length: 300 }, () => DISK)], 2],
    [['release'], 2],
    [['release', 'a\0b'], 2],
    [['confirm', '\n'], 2],
    [['confirm', 'deadbeef'], 4],
    [['confirm'], 4],
    [['export', 'pdf', DISK], 2],
    [['export', 'qemu'], 2],
    [['export', 'qemu', 'nothing-like-it'], 4],
  ]
  for (const [words, exit] of lines) {
    it(`are answered with ${String(exit)}: ${JSON.stringify(words).slice(0, 60)}`, async () => {
      const source = ['--host', SERVER, '--state', state]
      const outcome = await runWords([
        ...words,
        ...source,
        ...(words[0] === 'claim' ? ['--yes'] : []),
      ])
      expect([outcome.exit, outcome.stdout]).toEqual([exit, ''])
      // Nothing that a terminal would obey is echoed.
      expect(outcome.stderr).toMatch(/^[\x20-\x7e\n]*$/)
      expect(await driverOf(SERVER, DISK)).toBe('nvme')
    })
  }

  it('name one group several times and get it once', async () => {
    const { exit } = await on(SERVER, `claim ${DISK} nvme0 group:11 --yes`)
    expect([0, 4]).toContain(exit)
    const again = await on(SERVER, `claim ${DISK} ${DISK} --yes`)
    expect(again.exit).toBe(0)
    expect((await claimsOf(SERVER)).length).toBe(1)
  })
})

describe('confirm', () => {
  it('has its watchdog started before the first step, with all that it needs', async () => {
    const started: (readonly string[])[] = []
    const { exit, stdout, stderr } = await on(SERVER, `claim ${DISK} --yes --confirm 60`, {
      detached: async (argv) => {
        started.push(argv)
        expect(await driverOf(SERVER, DISK)).toBe('nvme')
      },
    })
    expect(exit).toBe(0)
    expect(stderr).toContain(`undone in 60 seconds unless: isogroup confirm ${stdout.trim()}`)
    expect(started).toEqual([['watchdog', stdout.trim(), '--host', SERVER, '--state', state]])
  })

  it('changes nothing when the watchdog cannot be started', async () => {
    const { exit } = await on(SERVER, `claim ${DISK} --yes --confirm 60`, {
      detached: () => Promise.reject(new Error('no more processes')),
    })
    expect(exit).not.toBe(0)
    expect(await driverOf(SERVER, DISK)).toBe('nvme')
  })

  it('keeps the claim: the watchdog then does nothing', async () => {
    const { stdout } = await on(SERVER, `claim ${DISK} --yes --confirm 60`, { detached })
    const id = stdout.trim()
    expect((await on(SERVER, 'confirm')).exit).toBe(0)
    expect((await on(SERVER, `watchdog ${id}`)).exit).toBe(0)
    expect(await driverOf(SERVER, DISK)).toBe('vfio-pci')
  })

  it('not given, makes the watchdog undo the claim when the time is over, not before', async () => {
    const { stdout } = await on(SERVER, `claim ${DISK} --yes --confirm 60`, { detached })
    let [now, slept] = [Date.now(), 0]
    const clock = {
      now: () => now,
      sleep: (span: number): Promise<void> => {
        now += span
        slept += span
        return Promise.resolve()
      },
    }
    expect((await on(SERVER, `watchdog ${stdout.trim()}`, { clock })).exit).toBe(0)
    expect(slept).toBeGreaterThan(55_000)
    expect(await driverOf(SERVER, DISK)).toBe('nvme')
    expect(await claimsOf(SERVER)).toEqual([])
  })

  it('comes too late when the time is over', async () => {
    await on(SERVER, `claim ${DISK} --yes --confirm 1`, { detached })
    const late = { ...SYSTEM_CLOCK, now: () => Date.now() + 3000 }
    expect((await on(SERVER, 'confirm', { clock: late })).exit).toBe(3)
  })
})

function detached(): Promise<void> {
  return Promise.resolve()
}

describe('recover', () => {
  it('has nothing to do on a host without claims', async () => {
    const { exit, stdout, stderr } = await on(SERVER, 'recover')
    expect([exit, stdout, stderr]).toEqual([0, '', 'nothing to recover\n'])
    const { stdout: json } = await on(SERVER, 'recover --json')
    expect(JSON.parse(json)).toMatchObject({ kind: 'Recovery', claims: [] })
  })

  it('undoes what nobody confirmed', async () => {
    await on(SERVER, `claim ${DISK} --yes --confirm 1`, { detached })
    const late = { ...SYSTEM_CLOCK, now: () => Date.now() + 3000 }
    const { exit, stdout } = await on(SERVER, 'recover', { clock: late })
    expect(exit).toBe(0)
    expect(stdout).toContain('undone')
    expect(await driverOf(SERVER, DISK)).toBe('nvme')
  })
})

describe('claims', () => {
  it('says that there are none', async () => {
    const { exit, stdout, stderr } = await on(SERVER, 'claims')
    expect([exit, stdout]).toEqual([0, ''])
    expect(stderr).toContain('no claims')
  })
})

describe('export', () => {
  it('prints arguments for a claimed group, with no note that it is not claimed', async () => {
    const before = await on(SERVER, `export qemu ${DISK}`)
    expect(before.stdout).toContain('-device vfio-pci,host=0000:02:00.0,')
    expect(before.stderr).toContain('is not on a VFIO driver yet: isogroup claim 0000:02:00.0')
    await on(SERVER, `claim ${DISK} --yes`)
    const after = await on(SERVER, `export qemu ${DISK}`)
    expect(after.stdout).toBe(before.stdout)
    expect(after.stderr).not.toContain('isogroup claim')
  })

  it('remembers the driver that a claimed device had, for modules that must wait', async () => {
    const source = 'model:conventional-bridge'
    await on(source, 'claim 04:00.0 --yes --allow CLAIM-ROUTE --allow CLAIM-LINK')
    const { stdout } = await on(source, 'export modprobe 04:00.0')
    expect(stdout).toContain('softdep e1000e pre: vfio-pci')
    const other = await on(SERVER, `export modprobe ${DISK}`)
    expect(other).toMatchObject({ exit: 3, stdout: '' })
    expect(other.stderr).toContain('0000:81:00.0 has the ids of 0000:02:00.0')
  })

  it('refuses persistence for disks of the host, and from records of hosts', async () => {
    for (const format of ['udev', 'modprobe']) {
      const disk = await on('model:desktop', `export ${format} 02:00.0`)
      expect([disk.exit, disk.stdout]).toEqual([3, ''])
      expect(disk.stderr).toContain('the host may need 0000:02:00.0 in order to come up')
    }
  })

  it('works on records of hosts for what needs no look at the host', async () => {
    const file = join(state, 'x.isocap')
    const { captureSource } = await import('../../open/capture-source.ts')
    await captureSource({ source: SERVER, path: file, identifiers: false, overwrite: false })
    expect(readFileSync(file).length).toBeGreaterThan(0)
    const libvirt = await runWords(['export', 'libvirt', DISK, '--host', `file:${file}`])
    expect([libvirt.exit, libvirt.stdout.includes('<hostdev')]).toEqual([0, true])
    const udev = await runWords(['export', 'udev', DISK, '--host', `file:${file}`])
    expect(udev.exit).toBe(3)
  })
})
