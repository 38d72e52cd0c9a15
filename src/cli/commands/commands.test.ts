/** What people see: the text of every command, on terminals and in pipes. */
import { beforeAll, describe, expect, it } from 'vitest'
import { known, unknown } from '../../base/fact.ts'
import type { Host, HostGroup, HostSnapshot } from '../../isolation/host.ts'
import { type DescribedHost, describeSnapshot } from '../../isolation/snapshot.case.ts'
import { machineNames, openHost } from '../../open/open-host.ts'
import type { CaptureRequest } from '../../open/capture-source.ts'
import { IsogroupError } from '../../base/errors.ts'
import { hostOf, run } from '../host.case.ts'

const LONG_NAME =
  'Advanced Micro Devices, Inc. [AMD] Starship/Matisse PCIe Dummy Host Bridge of Zen'

const BOARD: DescribedHost = {
  functions: [
    { at: '0000:00:00.2', classCode: 0x080600, ids: '1022:1631', group: null },
    { at: '0000:00:01.0', type: 4, classCode: 0x060400, group: '1', driver: 'pcieport' },
    { at: '0000:01:00.0', parent: '0000:00:01.0', group: '1', driver: 'nvidia' },
    { at: '0000:01:00.1', parent: '0000:00:01.0', group: '1', driver: null },
    { at: '0000:00:02.0', type: 4, acs: [0x1f, 0x1d], classCode: 0x060400, group: '2' },
    { at: '0000:02:00.0', parent: '0000:00:02.0', group: '3', driver: 'vfio-pci' },
  ],
}

function board(change: Partial<HostSnapshot> = {}): HostSnapshot {
  const snapshot = describeSnapshot(BOARD)
  const functions = snapshot.functions.map((fn) =>
    fn.address === '0000:01:00.0' ? { ...fn, name: LONG_NAME } : fn,
  )
  return { ...snapshot, functions, ...change }
}

const ESCAPE = String.fromCharCode(27)

describe('every command', () => {
  const hosts = new Map<string, Host>()
  beforeAll(async () => {
    for (const name of machineNames()) {
      // Ten thousand times the same tells no more.
      if (name !== 'singletons-10000') hosts.set(name, await openHost(`model:${name}`))
    }
  })
  const lines: readonly (readonly string[])[] = [
    ['ls'],
    ['tree'],
    ['predict'],
    ['doctor'],
    ['show', '00:1f.0'],
    ['explain', '00:1f.0'],
    ['explain', '00:00.0', '00:02.0'],
    ['ls', '-n'],
    ['what-if', 'iommu=off', 'kernel=6.1'],
  ]
  for (const line of lines) {
    it(`fits "${line.join(' ')}" into 80 columns of a terminal, words without a break aside`, async () => {
      for (const [name, host] of hosts) {
        const { exit, stdout } = await run([...line, '--color', 'never'], { host, columns: 80 })
        if (exit !== 0) continue
        const wide = stdout.split('\n').filter((text) => text.length > 80 && /\S +\S/.test(text))
        expect(wide, name).toEqual([])
      }
    })

    it(`prints no colour and shortens nothing in a pipe: "${line.join(' ')}"`, async () => {
      for (const host of hosts.values()) {
        const { stdout, stderr } = await run(line, { host })
        expect(stdout + stderr).not.toContain(ESCAPE)
        expect(stdout).not.toContain('…')
      }
    })
  }
})

describe('ls', () => {
  it('prints a row for each group and its devices below, ungrouped ones last', async () => {
    const { stdout } = await run(['ls'], { host: hostOf(board()) })
    const heads = stdout.split('\n').filter((line) => /^\S/.test(line))
    expect(heads.map((line) => line.replace(/ +/g, ' '))).toEqual([
      'GROUP STRENGTH STATE, DEVICES',
      expect.stringMatching(/^1 \S{6} host: nvidia$/),
      expect.stringMatching(/^2 \S{6} bridges only$/),
      expect.stringMatching(/^3 \S{6} user: vfio-pci$/),
      'no group: it is an IOMMU itself, whose own DMA is not translated',
    ])
    expect(stdout.indexOf('0000:01:00.0')).toBeLessThan(stdout.indexOf('\n2 '))
  })

  it('prints the whole name in a pipe, and the vendor abbreviated and cut on a terminal', async () => {
    const host = hostOf(board())
    expect((await run(['ls'], { host })).stdout).toContain(`${LONG_NAME} [1234:0001]`)
    const { stdout } = await run(['ls', '--color', 'never'], { host, columns: 80 })
    expect(stdout).toMatch(/AMD Starship\/Matisse PCIe Dummy Host.*… \[1234:0001\]/)
  })

  it('prints numbers instead of names with -n', async () => {
    const { stdout } = await run(['ls', '-n'], { host: hostOf(board()) })
    expect(stdout).toContain('020000 [1234:0001]')
    expect(stdout).not.toContain('Starship')
  })

  it('shows an unknown driver as a question mark, and a missing one as a dash', async () => {
    const functions = board().functions.map((fn) =>
      fn.address === '0000:01:00.0' ? { ...fn, driver: unknown('not said') } : fn,
    )
    const { stdout } = await run(['ls'], { host: hostOf(board({ functions })) })
    expect(stdout).toMatch(/0000:01:00\.0 {2}\? /)
    expect(stdout).toMatch(/0000:01:00\.1 {2}- /)
  })

  it('lists members that are no PCI functions', async () => {
    const [first, ...rest] = groupsOf(board())
    if (first === undefined) throw new Error('the board has no groups')
    const groups = known([{ ...first, members: [...first.members, 'INTC1006:00'] }, ...rest])
    const otherDevices = [
      { name: 'INTC1006:00', bus: known('platform'), driver: known(null), group: first.id },
    ]
    const { stdout } = await run(['ls'], { host: hostOf(board({ groups, otherDevices })) })
    expect(stdout).toMatch(/INTC1006:00 +- +platform device/)
  })

  it('says on stderr what to do on a host without groups, and lists its devices', async () => {
    const functions = BOARD.functions.map((fn) => ({ ...fn, group: null }))
    const host = hostOf(describeSnapshot({ functions }))
    const { exit, stdout, stderr } = await run(['ls'], { host })
    expect(exit).toBe(0)
    expect(stdout).toContain('0000:01:00.0')
    expect(stderr).toContain('test has no isolation groups')
    expect(stderr).toContain('isogroup doctor')
  })

  it('does not say that there are no groups when they are unknown', async () => {
    const functions = board().functions.map((fn) => ({ ...fn, group: unknown('no such line') }))
    const snapshot = board({ functions, groups: unknown('the text has no group lines') })
    const { stderr } = await run(['ls'], { host: hostOf(snapshot) })
    expect(stderr).toContain('the groups of test are unknown: the text has no group lines')
    expect(stderr).toContain('isogroup predict')
    expect(stderr).not.toContain('has no isolation groups')
  })

  it('gives null and the reason for what is unknown in JSON', async () => {
    const functions = board().functions.map((fn) => ({ ...fn, driver: unknown('not in the text') }))
    const { stdout } = await run(['ls', '--json'], { host: hostOf(board({ functions })) })
    const list = JSON.parse(stdout) as { groups: { devices: unknown[] }[] }
    expect(list.groups[0]?.devices[0]).toMatchObject({
      driver: null,
      unknown: { driver: 'not in the text' },
    })
  })
})

function groupsOf({ groups }: HostSnapshot): readonly HostGroup[] {
  return groups.known ? groups.value : []
}

describe('show', () => {
  const host = hostOf(board(), { '0000:01:00.0': [{ kind: 'drm', name: 'card0' }] })

  it('of a device puts the device first, then its group with strength and viability', async () => {
    const { stdout } = await run(['show', 'card0'], { host })
    expect(stdout.startsWith('0000:01:00.0\n')).toBe(true)
    expect(stdout).toContain('used as     card0 (drm)')
    const titles = stdout.split('\n').filter((line) => /^[a-z]/.test(line))
    expect(titles).toEqual(['group 1  host: nvidia', 'strength', 'viability', 'address space'])
    expect(stdout).toContain('0000:01:00.0 is bound to nvidia')
  })

  it('of a group puts the group first, then each of its devices', async () => {
    const { stdout } = await run(['show', 'group:1'], { host })
    expect(stdout.startsWith('group 1  host: nvidia\n')).toBe(true)
    const devices = stdout.split('\n').filter((line) => /^0000:/.test(line))
    expect(devices).toEqual(['0000:00:01.0', '0000:01:00.0', '0000:01:00.1'])
  })

  it('of a device without a group says why', async () => {
    const { stdout } = await run(['show', '00:00.2'], { host })
    expect(stdout).toContain('no group: it is an IOMMU itself')
    expect(stdout).toContain('T translation  no ')
  })
})

describe('tree', () => {
  it('draws groups as brackets in the margin and buses as branches', async () => {
    const { stdout } = await run(['tree'], { host: hostOf(board()) })
    expect(stdout.split('\n').map((line) => line.replace(/(?<=\.\d) {2}.*$/, ''))).toEqual([
      '    bus 0000:00',
      '    0000:00:00.2',
      '1 ┌ 0000:00:01.0',
      '  │ ├─ 0000:01:00.0',
      '  └ └─ 0000:01:00.1',
      '2 ─ 0000:00:02.0',
      '3 ─ └─ 0000:02:00.0',
      '',
    ])
  })

  it('draws with plain characters where the locale is not UTF-8', async () => {
    const { stdout } = await run(['tree'], { host: hostOf(board()), env: { LANG: 'C' } })
    expect(stdout).toMatch(/^ {2}' `- 0000:01:00\.1/m)
    expect(/^[\x20-\x7e\n]*$/.test(stdout)).toBe(true)
  })

  it('marks predicted groups on a host without groups', async () => {
    const functions = BOARD.functions.map((fn) => ({ ...fn, group: null }))
    const { stdout, stderr } = await run(['tree'], {
      host: hostOf(describeSnapshot({ functions })),
    })
    expect(stdout).toMatch(/^~0 ┌ 0000:00:01\.0/m)
    expect(stderr).toContain('groups with ~ are predicted')
  })
})

describe('predict', () => {
  it('gives a reason that several joins share once', async () => {
    const { stdout, stderr } = await run(['predict'], { host: hostOf(board()) })
    expect(stdout.match(/because/g)).toHaveLength(1)
    expect(stdout).toContain('3 together  host: group 1')
    expect(stderr).toContain('the 3 groups of the host are the same')
  })

  it('shows where the host differs', async () => {
    const functions = BOARD.functions.map((fn) =>
      fn.at === '0000:02:00.0' ? { ...fn, group: '2' } : fn,
    )
    const host = hostOf(describeSnapshot({ functions }))
    const { stdout, stderr } = await run(['predict'], { host })
    expect(stdout).toContain('difference: together on the host, predicted apart\n  host: group 2\n')
    expect(stderr).toContain('differ in 1 place')
  })
})

describe('explain', () => {
  it('takes a group for its first PCI function', async () => {
    const { stdout } = await run(['explain', 'group:1'], { host: hostOf(board()) })
    expect(stdout).toContain('0000:00:01.0 shares its group with 2 other devices (group 1)')
  })

  it('explains a device with itself as one device', async () => {
    const { stdout } = await run(['explain', '02:00.0', '0000:02:00.0'], { host: hostOf(board()) })
    expect(stdout).toContain('0000:02:00.0 is alone in its group (group 3)')
  })
})

describe('capture', () => {
  it('asks for what the options say, and tells what is in the file', async () => {
    const asked: CaptureRequest[] = []
    const capture = (request: CaptureRequest): Promise<void> => {
      asked.push(request)
      return Promise.resolve()
    }
    const host = hostOf(board())
    const plain = await run(['capture', 'a.isocap'], { host, capture })
    const full = await run(
      ['--host', 'linux:/x', 'capture', 'b', '--with-identifiers', '--force'],
      { host, capture },
    )
    expect(asked).toEqual([
      { source: 'linux', path: 'a.isocap', identifiers: false, overwrite: false },
      { source: 'linux:/x', path: 'b', identifiers: true, overwrite: true },
    ])
    expect(plain.stdout).toBe('')
    expect(plain.stderr).toContain('are not in it')
    expect(full.stderr).toContain('do not publish it')
  })

  it('refuses with 3 when the file exists', async () => {
    const cause = Object.assign(new Error('exists'), { code: 'EEXIST' })
    const capture = (): Promise<never> =>
      Promise.reject(new IsogroupError('io', 'cannot write a: EEXIST', 'add --force', { cause }))
    const { exit } = await run(['capture', 'a'], { host: hostOf(board()), capture })
    expect(exit).toBe(3)
  })
})

describe('start', () => {
  it('lists the groups of this host where it has any, with next steps on stderr', async () => {
    const { stdout, stderr } = await run(['start'], { host: hostOf(board()) })
    expect(stdout).toBe((await run(['ls'], { host: hostOf(board()) })).stdout)
    expect(stderr).toContain('isogroup explain 0000:01:00.1')
    expect(stderr).not.toContain('no isolation groups')
  })

  it('says why this host has none, and shows a built-in machine named as such', async () => {
    const functions = BOARD.functions.map((fn) => ({ ...fn, group: null }))
    const bare = hostOf(describeSnapshot({ functions }))
    const open = (source: string): Promise<Host> =>
      source === 'linux' ? Promise.resolve(bare) : openHost(source)
    const { stdout, stderr } = await run(['start'], { open })
    expect(stderr).toMatch(/^This host has no isolation groups: /)
    expect(stderr).toContain('built in (model:hp-spectre-15-df1)')
    expect(stdout).toContain('GeForce')
    const next = /isogroup (--host \S+ explain \S+ \S+)/.exec(stderr)?.[1] ?? ''
    expect((await run(next.split(' '), { open })).stdout).toContain('are together (group 2)')
  })

  it('shows the built-in machine where there is no PCI bus at all', async () => {
    const open = (source: string): Promise<Host> =>
      source === 'linux'
        ? Promise.reject(new IsogroupError('no-source', 'this host has no PCI bus'))
        : openHost(source)
    const { exit, stderr } = await run(['start'], { open })
    expect(exit).toBe(0)
    expect(stderr).toContain('This host has no isolation groups: this host has no PCI bus.')
  })
})
