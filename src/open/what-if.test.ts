/** Questions about whole machines, and twins as good as the hosts they are made of. */
import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import { assess } from '../isolation/assess/assess.ts'
import { assessmentDifference } from '../isolation/difference/difference.ts'
import { rulesFor } from '../isolation/groups/rules.ts'
import type { Host, HostSnapshot, PciFunction } from '../isolation/host.ts'
import { buildTopology } from '../isolation/topology/topology.ts'
import { linuxHost } from '../linux/linux-host.ts'
import { bootKernel } from './model-host.ts'
import { builtInTwin, machineNames, openHost } from './open-host.ts'
import { twinOf } from './twin.ts'
import { type Change, type WhatIf, whatIf } from './what-if.ts'

const DESKTOP = 'model:desktop'

async function ask(name: string, ...changes: readonly Change[]): Promise<WhatIf> {
  const source = `model:${name}`
  return whatIf(source, await openHost(source), changes, null)
}

function groupsOf(host: Host): readonly string[] {
  const { groups } = host.snapshot()
  return groups.known ? groups.value.map(({ members }) => [...members].sort().join(' ')).sort() : []
}

function assessed(snapshot: HostSnapshot): ReturnType<typeof assess> {
  return assess(snapshot, buildTopology(snapshot), rulesFor(snapshot, null))
}

function withGroupZero(fn: PciFunction, key: keyof PciFunction): unknown {
  return key === 'group' ? known('0') : fn[key]
}

/** Ten thousand functions tell no more than the others, and POWER and GART have no twin. */
const WITH_TWIN = machineNames().filter(
  (name) => !['singletons-10000', 'power-pe', 'translation-only'].includes(name),
)

describe('twinOf()', () => {
  it.each(WITH_TWIN)('%s: the twin of its files has its groups, strength and use', async (name) => {
    const kernel = bootKernel((await builtInTwin(name)).machine)
    const host = linuxHost(kernel, 'the original')
    const { machine, assumed } = twinOf(host)
    const twin = linuxHost(bootKernel(machine), 'the twin')
    expect(groupsOf(twin)).toEqual(groupsOf(host))
    const differences = assessmentDifference(
      assessed(host.snapshot()),
      assessed(twin.snapshot()),
      new Map(),
    )
    expect(differences).toEqual([])
    expect(assumed).toEqual([])
  })
})

describe('whatIf()', () => {
  it('changes nothing when it is asked about nothing', async () => {
    const { before, after, addresses, notes } = await ask('desktop')
    expect(groupsOf(after)).toEqual(groupsOf(before))
    expect([...addresses].every(([old, now]) => old === now)).toBe(true)
    expect(notes).toEqual([])
  })

  it('asks the kernel version of both sides, or of one', async () => {
    const version = { major: 6, minor: 1 }
    const host = await openHost(DESKTOP)
    const both = await whatIf(DESKTOP, host, [], version)
    expect(both.before.snapshot().kernelRelease).toEqual({ known: true, value: '6.1' })
    const one = await whatIf(DESKTOP, host, [{ kind: 'kernel', version: '6.1' }], null)
    expect(one.before.snapshot().kernelRelease).not.toEqual(one.after.snapshot().kernelRelease)
  })

  it('follows virtual functions by their place in the row', async () => {
    const { addresses } = await ask(
      'server-sriov',
      { kind: 'remove', device: '0000:02:00.0' },
      { kind: 'move', device: '0000:01:00.0', port: '0000:00:02.0' },
    )
    expect(addresses.get('0000:01:00.0')).toBe('0000:02:00.0')
    expect(addresses.get('0000:01:10.2')).toBe('0000:02:10.2')
    expect(addresses.get('0000:02:00.0')).toBeNull()
  })

  it('says which devices the twin groups otherwise than the host', async () => {
    const host = await openHost(DESKTOP)
    const snapshot = host.snapshot()
    // Facts are read when they are asked for: all but the group stay behind the same function.
    const functions = snapshot.functions.map((fn) =>
      fn.address === '0000:00:01.0' ? new Proxy(fn, { get: withGroupZero }) : fn,
    )
    const odd: Host = { ...host, snapshot: () => ({ ...snapshot, functions }) }
    const { deviations } = await whatIf('file:odd', odd, [], null)
    expect(deviations).toEqual(['0000:00:00.0', '0000:00:01.0'])
  })

  it('says when a driver does not take what it is given', async () => {
    const device = '0000:02:00.0'
    const { notes } = await ask('desktop', { kind: 'bind', device, driver: 'pcieport' })
    expect(notes).toEqual(['0000:02:00.0: pcieport could not be bound: ENODEV'])
    await expect(ask('desktop', { kind: 'bind', device, driver: 'unheard' })).rejects.toThrow(
      'no driver "unheard" is known of this machine',
    )
  })
})
