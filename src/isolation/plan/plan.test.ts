import { describe, expect, it } from 'vitest'
import { known, unknown } from '../../base/fact.ts'
import { readPlanFacts } from './facts.ts'
import {
  ALICE,
  codesOf,
  DISK,
  GPU,
  liveHost,
  PC,
  type PlanHost,
  planOf,
  request,
  SOUND,
  withDriver,
} from './plan.case.ts'
import { makePlan } from './plan.ts'

const ROOT_NODE = { uid: 0, gid: 0, mode: 0o600 }

describe('makePlan()', () => {
  it('takes the whole group of the one function that was named', () => {
    const plan = planOf(request([SOUND]))
    expect(plan.verdict).toBe('ready')
    expect(codesOf(plan)).toEqual([])
    expect(plan.groups).toHaveLength(1)
    const [group] = plan.groups
    expect(group?.members.map(({ name, fate, will }) => [name, fate, will])).toEqual([
      [GPU, 'move', 'from nvidia to vfio-pci'],
      [SOUND, 'move', 'from snd_hda_intel to vfio-pci'],
    ])
    expect(group?.before.devices.map(({ driver }) => driver)).toEqual(['nvidia', 'snd_hda_intel'])
    expect(group?.target).toEqual({
      group: '1',
      devices: [GPU, SOUND].map((address) => ({
        address,
        present: true,
        driver: 'vfio-pci',
        override: 'vfio-pci',
        autoprobe: null,
      })),
      node: ROOT_NODE,
    })
    expect(plan.actions).toEqual(group?.actions)
    expect(plan.actions.length).toBeGreaterThan(0)
  })

  it('asks nothing more of a singleton', () => {
    const plan = planOf(request([DISK]))
    expect(plan.verdict).toBe('ready')
    expect(plan.groups[0]?.members).toHaveLength(1)
    expect(codesOf(plan)).toEqual([])
  })

  it('gives the node to the owner, and to nobody new without one', () => {
    const owned = planOf(request([DISK], { owner: ALICE }))
    expect(owned.groups[0]?.target.node).toEqual({ uid: 1000, gid: 1000, mode: 0o600 })
    const node = { uid: 107, gid: 36, mode: 0o660 }
    const kept = planOf(request([DISK]), { ...withDriver(PC, DISK, 'vfio-pci'), node })
    expect(kept.groups[0]?.target.node).toEqual(node)
    expect(planOf(request([DISK])).groups[0]?.target.node).toEqual(ROOT_NODE)
  })

  it('makes several targets one plan, each group once and in order', () => {
    const plan = planOf(request([DISK, GPU, SOUND]))
    expect(plan.groups.map(({ group }) => group)).toEqual(['2', '1'])
    expect(plan.actions).toEqual(plan.groups.flatMap(({ actions }) => actions))
  })

  it('refuses all when one group is refused, and still shows every group', () => {
    const usage = {
      [DISK]: { disks: known([{ name: 'nvme0n1', use: 'root', detail: '/' } as const]) },
    }
    const plan = planOf(request([GPU, DISK]), { ...PC, usage })
    expect(plan.verdict).toBe('refused')
    expect(plan.groups).toHaveLength(2)
    expect(codesOf(plan)).toEqual([`CLAIM-ROOT-DISK refuse ${DISK}`])
  })

  it('has nothing to do for a group that is where it should be', () => {
    const there = withDriver({ ...PC, node: ROOT_NODE }, DISK, 'vfio-pci')
    const plan = planOf(request([DISK]), there)
    expect(plan.verdict).toBe('nothing-to-do')
    expect(plan.actions).toEqual([])
    expect(codesOf(plan)).toEqual([`CLAIM-FOREIGN warn ${DISK}`])
    // A driver that is not loaded is not needed then.
    expect(planOf(request([DISK]), { ...there, drivers: [] }).loads).toBeNull()
  })

  it('has only the owner to change for a group on the driver already', () => {
    const there = withDriver({ ...PC, node: ROOT_NODE }, DISK, 'vfio-pci')
    const plan = planOf(request([DISK], { owner: ALICE }), there)
    expect(plan.verdict).toBe('ready')
    expect(plan.actions.map(({ kind }) => kind)).toEqual(['set-node'])
  })

  it('leaves a member on the driver alone, and moves its mate', () => {
    const plan = planOf(request([GPU]), withDriver(PC, SOUND, 'vfio-pci'))
    const [gpu, sound] = plan.groups[0]?.members ?? []
    expect([gpu?.fate, sound?.fate]).toEqual(['move', 'kept'])
    expect(codesOf(plan)).toEqual([`CLAIM-FOREIGN warn ${SOUND}`])
    expect(plan.groups[0]?.target.devices[1]).toMatchObject({ driver: 'vfio-pci', override: null })
  })

  it('aims an override that names another driver anew', () => {
    const states = { [SOUND]: { override: 'snd_hda_intel' } }
    const plan = planOf(request([GPU]), { ...withDriver(PC, SOUND, 'vfio-pci'), states })
    expect(plan.groups[0]?.target.devices[1]?.override).toBe('vfio-pci')
  })

  it('switches driver probing of new virtual functions off, and leaves others alone', () => {
    const states = { [DISK]: { autoprobe: true } }
    const plan = planOf(request([DISK]), { ...PC, states })
    expect(plan.groups[0]?.target.devices[0]?.autoprobe).toBe(false)
  })

  it('loads the driver when it is absent but there', () => {
    const plan = planOf(request([DISK]), { ...PC, drivers: [] })
    expect(plan.verdict).toBe('ready')
    expect(plan.loads).toBe('vfio-pci')
    expect(codesOf(plan)).toEqual(['CLAIM-DRIVER warn'])
  })

  it('is the same for the same request and facts', () => {
    const asked = request([GPU, DISK])
    const facts = readPlanFacts(liveHost(PC), asked, [])
    expect(JSON.stringify(makePlan(asked, facts))).toBe(JSON.stringify(makePlan(asked, facts)))
  })
})

describe('members of a plan', () => {
  it('say what they do, what the host loses, and what could not be seen', () => {
    const host: PlanHost = {
      ...PC,
      services: { [DISK]: [{ kind: 'block', name: 'nvme0n1' }] },
      usage: {
        [DISK]: {
          disks: known([{ name: 'nvme0n1p2', use: 'mount', detail: '/srv' }]),
          programs: unknown('needs root'),
        },
      },
    }
    expect(planOf(request([DISK]), host).groups[0]?.members[0]).toMatchObject({
      does: ['nvme0n1p2 is mounted at /srv'],
      loses: ['disk nvme0n1'],
      notSeen: ['programs: needs root'],
    })
  })

  it('are bridges and devices of other buses too, which stay', () => {
    const host: PlanHost = {
      functions: [
        { at: '0000:00:1c.0', type: 4, classCode: 0x060400, driver: 'pcieport', group: '5' },
        { at: '0000:04:00.0', parent: '0000:00:1c.0', driver: 'e1000e', group: '5' },
      ],
      chips: PC.chips ?? known([]),
      others: [{ name: 'INTC1055:00', bus: known('platform'), driver: known(null), group: '5' }],
      groupFacts: { '5': { members: ['0000:00:1c.0', '0000:04:00.0', 'INTC1055:00'] } },
    }
    const plan = planOf(request(['0000:04:00.0']), host)
    expect(plan.groups[0]?.members.map(({ name, fate }) => [name, fate])).toEqual([
      ['0000:00:1c.0', 'stays'],
      ['0000:04:00.0', 'move'],
      ['INTC1055:00', 'stays'],
    ])
    expect(plan.groups[0]?.before.devices.map(({ address }) => address)).toEqual(['0000:04:00.0'])
    expect(codesOf(plan)).toEqual([])
  })
})

describe('readPlanFacts()', () => {
  it('knows no function that is not there, and wants one', () => {
    const none = request(['0000:09:00.0'])
    expect(() => readPlanFacts(liveHost(PC), none, [])).toThrow(/there is no PCI function 0000:09/)
    expect(() => readPlanFacts(liveHost(PC), request([]), [])).toThrow(/no device to claim/)
  })

  it('looks at members that would be moved, and only at them', () => {
    const facts = readPlanFacts(liveHost(withDriver(PC, SOUND, 'vfio-pci')), request([GPU]), [])
    expect([...facts.usage.keys()]).toEqual([GPU])
    expect([...facts.details.keys()]).toEqual([GPU, SOUND])
  })
})
