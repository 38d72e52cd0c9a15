import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Action } from './action.ts'
import { simulatedHost, VFIO } from './simulated-host.case.ts'
import type { DeviceState, GroupState, NodeState } from './state.ts'
import { stepsTo } from './steps.ts'
import { missing, unmet } from './unmet.ts'

const ADDRESSES = ['0000:01:00.0', '0000:01:00.1', '0000:02:00.0', '0000:02:00.1'] as const
const HOME = {
  '0000:01:00.0': 'nvidia',
  '0000:01:00.1': 'snd_hda_intel',
  '0000:02:00.0': 'nvme',
  '0000:02:00.1': 'mlx5_core',
}

const anyNode: fc.Arbitrary<NodeState> = fc.record({
  uid: fc.constantFrom(0, 1000),
  gid: fc.constantFrom(0, 1000),
  mode: fc.constantFrom(0o600, 0o660),
})

function anyDevice(address: (typeof ADDRESSES)[number]): fc.Arbitrary<DeviceState> {
  const hasAutoprobe = address === '0000:02:00.1'
  return fc.record({
    address: fc.constant(address),
    present: fc.constant(true),
    driver: fc.constantFrom(null, HOME[address], VFIO, 'uio_pci_generic'),
    override: fc.constantFrom(null, HOME[address], VFIO, 'none'),
    autoprobe: hasAutoprobe ? fc.boolean() : fc.constant(null),
  })
}

/** Any state that a group can be in: it has a node exactly while a member is on a VFIO driver. */
const anyState: fc.Arbitrary<GroupState> = fc
  .record({ devices: fc.tuple(...ADDRESSES.map(anyDevice)), node: anyNode })
  .map(({ devices, node }) => ({
    group: '7',
    devices,
    node: devices.some(({ driver }) => driver === VFIO) ? node : null,
  }))

function walk(
  host: ReturnType<typeof simulatedHost>,
  target: GroupState,
  after: (action: Action) => void = () => undefined,
): readonly Action[] {
  const steps = stepsTo(target, host.state(ADDRESSES))
  for (const action of steps) {
    host.perform(action)
    after(action)
  }
  return steps
}

describe('stepsTo()', () => {
  it('gets from any state to any other, but for the node it could not foresee', () => {
    fc.assert(
      fc.property(anyState, anyState, (now, target) => {
        const host = simulatedHost(now, HOME)
        walk(host, target)
        // A node that went and came again is the kernel's new one: asking again sees it.
        walk(host, target)
        expect(unmet(target, host.state(ADDRESSES))).toEqual([])
        expect(host.state(ADDRESSES)).toEqual(target)
        expect(walk(host, target)).toEqual([])
      }),
      { numRuns: 1000 },
    )
  })

  it('gives back exactly what it took', () => {
    fc.assert(
      fc.property(anyState, anyState, (before, target) => {
        const host = simulatedHost(before, HOME)
        for (let round = 0; round < 2; round++) walk(host, target)
        for (let round = 0; round < 2; round++) walk(host, before)
        expect(host.state(ADDRESSES)).toEqual(before)
      }),
      { numRuns: 500 },
    )
  })

  it('can be left after any step and taken up again, in either direction', () => {
    fc.assert(
      fc.property(anyState, anyState, fc.nat(20), (before, target, stop) => {
        const host = simulatedHost(before, HOME)
        for (const action of stepsTo(target, before).slice(0, stop)) host.perform(action)
        const half = host.state(ADDRESSES)
        const forward = simulatedHost(half, HOME)
        for (let round = 0; round < 2; round++) walk(forward, target)
        expect(forward.state(ADDRESSES)).toEqual(target)
        for (let round = 0; round < 2; round++) walk(host, before)
        expect(host.state(ADDRESSES)).toEqual(before)
      }),
      { numRuns: 500 },
    )
  })

  it('leaves no moment in which another driver can take a device that is on its way', () => {
    fc.assert(
      fc.property(anyState, anyState, (now, target) => {
        const host = simulatedHost(now, HOME)
        const going = new Map(
          target.devices
            .filter(({ driver }, index) => driver !== null && driver !== now.devices[index]?.driver)
            .map(({ address, driver }) => [address, driver]),
        )
        const started = new Set<string>()
        walk(host, target, (action) => {
          // From the first unbind on all are aimed.
          if (action.kind !== 'unbind' && action.kind !== 'probe') return
          started.add(action.address)
          host.probeAll()
          for (const { address, driver } of host.state(ADDRESSES).devices) {
            const wanted = going.get(address)
            if (wanted !== undefined && started.has(address)) expect(driver).toBe(wanted)
          }
        })
      }),
      { numRuns: 500 },
    )
  })

  it('aims every device of the group before it takes one from its driver', () => {
    fc.assert(
      fc.property(anyState, anyState, (now, target) => {
        const steps = stepsTo(target, now)
        const firstUnbind = steps.findIndex(({ kind }) => kind === 'unbind')
        const aimedLater = new Set<string>()
        steps.forEach((action, index) => {
          if (action.kind !== 'probe') return
          const aims = steps.flatMap((step, at) =>
            step.kind === 'set-override' && step.address === action.address && at < index ? at : [],
          )
          if (firstUnbind >= 0 && aims.some((at) => at > firstUnbind))
            aimedLater.add(action.address)
        })
        expect([...aimedLater]).toEqual([])
      }),
    )
  })

  it('has no step that changes nothing', () => {
    fc.assert(
      fc.property(anyState, anyState, (now, target) => {
        const host = simulatedHost(now, HOME)
        let last = JSON.stringify(host.state(ADDRESSES))
        walk(host, target, (action) => {
          const next = JSON.stringify(host.state(ADDRESSES))
          // A node may have become a new one on the way, which happens to be as it should be.
          if (action.kind !== 'set-node') expect([action, next === last]).toEqual([action, false])
          last = next
        })
      }),
    )
  })

  it('claims in the order that the kernel needs', () => {
    const now: GroupState = {
      group: '7',
      devices: [
        { ...plain('0000:02:00.0', 'nvme'), autoprobe: null },
        { ...plain('0000:02:00.1', 'mlx5_core'), autoprobe: true },
      ],
      node: null,
    }
    const target: GroupState = {
      ...now,
      devices: now.devices.map((device) => ({
        ...device,
        driver: VFIO,
        override: VFIO,
        autoprobe: device.autoprobe === null ? null : false,
      })),
      node: { uid: 1000, gid: 1000, mode: 0o600 },
    }
    const words = (steps: readonly Action[]): readonly string[] =>
      steps.map((step) =>
        step.kind === 'set-node' ? 'node' : `${step.kind} ${step.address.slice(-1)}`,
      )
    expect(words(stepsTo(target, now))).toEqual([
      'set-autoprobe 1',
      ...['set-override 0', 'set-override 1', 'unbind 0', 'unbind 1', 'probe 0', 'probe 1', 'node'],
    ])
    expect(words(stepsTo(now, target))).toEqual([
      ...['set-override 0', 'set-override 1', 'unbind 0', 'unbind 1', 'probe 0', 'probe 1'],
      ...['set-override 0', 'set-override 1', 'set-autoprobe 1'],
    ])
  })

  it('does nothing with devices that are gone, or that one side does not know', () => {
    const target = {
      group: '7',
      devices: [{ ...plain('0000:02:00.0', VFIO), override: VFIO }],
      node: null,
    }
    const gone = { ...plain('0000:02:00.0', null), present: false }
    expect(stepsTo(target, { group: null, devices: [gone], node: null })).toEqual([])
    expect(stepsTo(target, { group: '7', devices: [], node: null })).toEqual([])
    expect(unmet(target, { group: null, devices: [gone], node: null })).toEqual([])
    expect(missing(target, { group: null, devices: [gone], node: null })).toEqual(['0000:02:00.0'])
  })

  it('gives the node of the group as it is numbered now', () => {
    const node = { uid: 1000, gid: 1000, mode: 0o600 }
    const device = { ...plain('0000:02:00.0', VFIO), override: VFIO }
    const target = { group: '7', devices: [device], node }
    const now = { group: '9', devices: [device], node: { uid: 0, gid: 0, mode: 0o600 } }
    expect(stepsTo(target, now)).toEqual([{ kind: 'set-node', group: '9', ...node }])
  })
})

describe('unmet()', () => {
  it('says nothing exactly when a state is the target', () => {
    fc.assert(
      fc.property(anyState, anyState, (now, target) => {
        const isThere = JSON.stringify({ ...now, node: target.node === null ? null : now.node })
        expect(unmet(target, now).length === 0).toBe(isThere === JSON.stringify(target))
      }),
    )
  })

  it('names what is so and what should be', () => {
    const target: GroupState = {
      group: '7',
      devices: [{ ...plain('0000:02:00.1', VFIO), override: VFIO, autoprobe: false }],
      node: { uid: 1000, gid: 100, mode: 0o600 },
    }
    const now: GroupState = {
      group: '7',
      devices: [{ ...plain('0000:02:00.1', 'mlx5_core'), autoprobe: true }],
      node: null,
    }
    expect(unmet(target, now)).toEqual([
      '0000:02:00.1 is on mlx5_core, not on vfio-pci',
      'driver_override of 0000:02:00.1 is not set, not vfio-pci',
      'driver probing of new virtual functions of 0000:02:00.1 is on, not off',
      'group 7 has no node in /dev/vfio',
    ])
  })
})

function plain(address: string, driver: string | null): DeviceState {
  return { address, present: true, driver, override: null, autoprobe: null }
}
