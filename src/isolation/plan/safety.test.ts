import { describe, expect, it } from 'vitest'
import { known, unknown } from '../../base/fact.ts'
import type { DeviceUsage } from '../live-host.ts'
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
import { readPlanFacts } from './facts.ts'
import { findingsOf, makePlan } from './plan.ts'
import { SAFETY_FINDINGS, type SafetyCode } from './safety-codes.ts'

function using(usage: Readonly<Record<string, Partial<DeviceUsage>>>): PlanHost {
  return { ...PC, usage }
}

/** Codes for one use of the sound function, when the graphics card next to it is asked for. */
function codesWhen(usage: Partial<DeviceUsage>, allow: readonly string[] = []): readonly string[] {
  return codesOf(planOf(request([GPU], { allow }), using({ [SOUND]: usage })))
}

describe('uses of a member that was not named', () => {
  const refused: readonly (readonly [Partial<DeviceUsage>, SafetyCode])[] = [
    [{ disks: known([{ name: 'sda1', use: 'root', detail: '/' }]) }, 'CLAIM-ROOT-DISK'],
    [{ disks: known([{ name: 'sda1', use: 'boot', detail: '/boot' }]) }, 'CLAIM-ROOT-DISK'],
    [{ disks: known([{ name: 'sda1', use: 'mount', detail: '/srv' }]) }, 'CLAIM-MOUNTED'],
    [{ disks: known([{ name: 'sda1', use: 'open', detail: 'ext4' }]) }, 'CLAIM-MOUNTED'],
    [{ disks: known([{ name: 'sda2', use: 'swap', detail: '/dev/sda2' }]) }, 'CLAIM-SWAP'],
    [{ disks: known([{ name: 'sda3', use: 'holder', detail: 'dm-0' }]) }, 'CLAIM-HOLDER'],
    [{ disks: known([{ name: 'sda3', use: 'zfs', detail: 'tank' }]) }, 'CLAIM-HOLDER'],
    [{ networks: known([{ name: 'eth0', use: 'login', detail: '' }]) }, 'CLAIM-LOGIN'],
    [{ networks: known([{ name: 'eth0', use: 'default', detail: '' }]) }, 'CLAIM-ROUTE'],
    [{ networks: known([{ name: 'eth0', use: 'route', detail: '10/8' }]) }, 'CLAIM-ROUTE'],
    [{ networks: known([{ name: 'eth0', use: 'address', detail: '10.1' }]) }, 'CLAIM-ROUTE'],
    [{ networks: known([{ name: 'eth0', use: 'port', detail: 'br0' }]) }, 'CLAIM-PORT'],
    [{ displays: known([{ use: 'boot-display', name: SOUND }]) }, 'CLAIM-DISPLAY'],
    [{ displays: known([{ use: 'console', name: 'fb0' }]) }, 'CLAIM-DISPLAY'],
    [{ displays: known([{ use: 'framebuffer', name: 'BOOTFB' }]) }, 'CLAIM-FRAMEBUFFER'],
    [{ keyboards: known({ here: ['event3'], elsewhere: [] }) }, 'CLAIM-KEYBOARD'],
    [
      { programs: known([{ pid: 7, name: 'pipewire', uid: 1000, file: '/dev/snd/controlC1' }]) },
      'CLAIM-OPEN',
    ],
    [{ virtualFunctions: known(['0000:01:10.0']) }, 'CLAIM-VFS'],
  ]

  it.each(refused)('%j refuses with %s and says which member', (usage, code) => {
    const plan = planOf(request([GPU]), using({ [SOUND]: usage, [GPU]: sameKeyboards(usage) }))
    expect(codesOf(plan)).toEqual([`${code} refuse ${SOUND}`])
    expect(plan.verdict).toBe('refused')
    const [finding] = findingsOf(plan)
    expect(finding?.fact).toContain(SOUND)
    expect(finding?.evidence.length).toBeGreaterThan(0)
    expect(finding?.remedy).not.toBe('')
  })

  it.each(refused)('%j is overridden by exactly its code, where that may be', (usage, code) => {
    const host = using({ [SOUND]: usage, [GPU]: sameKeyboards(usage) })
    const plan = planOf(request([GPU], { allow: [code] }), host)
    const isOverridable = SAFETY_FINDINGS[code].overridable
    expect(plan.verdict).toBe(isOverridable ? 'ready' : 'refused')
    expect(findingsOf(plan).find((one) => one.code === code)?.allowed).toBe(isOverridable)
    const others = Object.keys(SAFETY_FINDINGS).filter((other) => other !== code)
    expect(planOf(request([GPU], { allow: others }), host).verdict).toBe('refused')
  })

  const open: readonly (readonly [keyof DeviceUsage, SafetyCode])[] = [
    ['disks', 'CLAIM-UNKNOWN-DISKS'],
    ['networks', 'CLAIM-UNKNOWN-NETWORKS'],
    ['displays', 'CLAIM-UNKNOWN-DISPLAYS'],
    ['keyboards', 'CLAIM-UNKNOWN-KEYBOARDS'],
    ['programs', 'CLAIM-UNKNOWN-PROGRAMS'],
    ['virtualFunctions', 'CLAIM-UNKNOWN-VFS'],
  ]

  it.each(open)('unknown %s refuse too', (what, code) => {
    const usage = { [what]: unknown('permission denied') } as Partial<DeviceUsage>
    const plan = planOf(request([GPU]), using({ [SOUND]: usage }))
    expect(codesOf(plan)).toEqual([`${code} unknown ${SOUND}`])
    expect(plan.verdict).toBe('refused')
    expect(findingsOf(plan)[0]?.evidence).toEqual(['permission denied'])
  })

  it('only warn when they go away cleanly', () => {
    expect(codesWhen({ networks: known([{ name: 'eth0', use: 'up', detail: '' }]) })).toEqual([
      `CLAIM-LINK warn ${SOUND}`,
    ])
    const input = [{ pid: 7, name: 'Xorg', uid: 0, file: '/dev/input/event3' }]
    expect(codesWhen({ programs: known(input) })).toEqual([`CLAIM-OPEN warn ${SOUND}`])
    const plan = planOf(request([GPU]), using({ [SOUND]: { programs: known(input) } }))
    expect(plan.verdict).toBe('ready')
  })

  it('are unknown for a member that nobody looked at', () => {
    const asked = request([GPU])
    const facts = { ...readPlanFacts(liveHost(PC), asked, []), usage: new Map() }
    const plan = makePlan(asked, facts)
    expect(plan.verdict).toBe('refused')
    expect(codesOf(plan)).toContain(`CLAIM-UNKNOWN-DISKS unknown ${SOUND}`)
  })
})

/** What is left to all members of a group is the same for each of them. */
function sameKeyboards({ keyboards }: Partial<DeviceUsage>): Partial<DeviceUsage> {
  if (keyboards?.known !== true) return {}
  return { keyboards: known({ here: [], elsewhere: keyboards.value.here }) }
}

describe('the way back', () => {
  const screen = { displays: known([{ use: 'boot-display', name: GPU } as const]) }
  const nobody = { logins: known({ here: [], elsewhere: [] }) }

  it('is open while somebody can log in over a network that stays', () => {
    expect(codesWhen(screen)).toEqual([`CLAIM-DISPLAY refuse ${SOUND}`])
    expect(codesWhen({ ...screen, ...nobody })).toEqual([
      `CLAIM-WAY-BACK refuse ${SOUND}`,
      `CLAIM-DISPLAY refuse ${SOUND}`,
    ])
  })

  it('cannot be allowed away, but a claim that must be confirmed keeps it open', () => {
    const host = using({ [SOUND]: { ...screen, ...nobody } })
    const allow = ['CLAIM-DISPLAY', 'CLAIM-WAY-BACK']
    expect(planOf(request([GPU], { allow }), host).verdict).toBe('refused')
    const confirmed = planOf(request([GPU], { allow: ['CLAIM-DISPLAY'], confirmSeconds: 60 }), host)
    expect(confirmed.verdict).toBe('ready')
  })

  it('is closed when the network card goes in the same request', () => {
    const host = using({
      [SOUND]: { ...screen, logins: known({ here: [], elsewhere: ['eth0'] }) },
      [DISK]: { logins: known({ here: ['eth0'], elsewhere: [] }) },
    })
    expect(codesOf(planOf(request([GPU]), host)).join()).not.toContain('WAY-BACK')
    expect(codesOf(planOf(request([GPU, DISK]), host)).join()).toContain('CLAIM-WAY-BACK refuse')
    expect(codesOf(planOf(request([DISK, GPU]), host)).join()).toContain('CLAIM-WAY-BACK refuse')
  })

  it('is unknown when the ways to log in are', () => {
    expect(codesWhen({ ...screen, logins: unknown('no') })).toContain(
      `CLAIM-WAY-BACK unknown ${SOUND}`,
    )
  })

  it('counts keyboards over all groups: two controllers may hold the last two', () => {
    const keyboards = (here: string, elsewhere: string): Partial<DeviceUsage> => ({
      keyboards: known({ here: [here], elsewhere: [elsewhere] }),
    })
    const none = { keyboards: known({ here: [], elsewhere: ['event3', 'event5'] }) }
    const host = using({
      [GPU]: none,
      [SOUND]: keyboards('event3', 'event5'),
      [DISK]: keyboards('event5', 'event3'),
    })
    expect(codesOf(planOf(request([GPU]), host))).toEqual([])
    expect(codesOf(planOf(request([DISK]), host))).toEqual([])
    expect(codesOf(planOf(request([GPU, DISK]), host))).toEqual([`CLAIM-KEYBOARD refuse ${SOUND}`])
  })
})

describe('the group', () => {
  it('is refused while a program owns it, who is named', () => {
    const users = known([{ pid: 812, name: 'qemu-system-x86', uid: 1000, file: '/dev/vfio/1' }])
    const plan = planOf(request([GPU]), { ...PC, users })
    expect(codesOf(plan)).toEqual(['CLAIM-OWNED refuse 1'])
    expect(findingsOf(plan)[0]?.fact).toContain('qemu-system-x86 (812)')
    const there = withDriver(
      { ...PC, users, node: { uid: 0, gid: 0, mode: 0o600 } },
      DISK,
      'vfio-pci',
    )
    const idle = planOf(request([DISK]), there)
    expect(idle.verdict).toBe('nothing-to-do')
    expect(codesOf(idle)).toContain('CLAIM-OWNED warn 2')
    expect(codesOf(planOf(request([GPU]), { ...PC, users: unknown('needs root') }))).toEqual([
      'CLAIM-UNKNOWN-USERS unknown 1',
    ])
  })

  it('is refused when another claim holds it, and recognized when the same one does', () => {
    const claim = {
      id: 'c1',
      addresses: [DISK],
      driver: 'vfio-pci',
      owner: ALICE,
      reason: 'build vm',
    }
    const plan = planOf(request([DISK]), { ...PC, claims: [claim] })
    expect(codesOf(plan)).toEqual([`CLAIM-CLAIMED refuse ${DISK}`])
    expect(findingsOf(plan)[0]?.fact).toContain('for alice (claim c1: build vm)')
    const node = { uid: 1000, gid: 1000, mode: 0o600 }
    const held = withDriver({ ...PC, claims: [claim], node }, DISK, 'vfio-pci')
    const again = planOf(request([DISK], { owner: ALICE }), held)
    expect(again.verdict).toBe('nothing-to-do')
    expect(codesOf(again)).toEqual([`CLAIM-CLAIMED warn ${DISK}`])
    // The same claim, but something took the disk away from it: there is something to do.
    const broken = { ...PC, claims: [claim], node }
    expect(codesOf(planOf(request([DISK], { owner: ALICE }), broken))).toEqual([
      `CLAIM-CLAIMED refuse ${DISK}`,
    ])
  })

  it('is refused for fixed memory, whatever is allowed', () => {
    const region = { start: '0x1000', end: '0x1fff', kind: 'direct' }
    const tied = { ...PC, groupFacts: { '1': { reserved: known([region]) } } }
    expect(codesOf(planOf(request([GPU]), tied))).toEqual(['CLAIM-RMRR refuse 1'])
    expect(planOf(request([GPU], { allow: ['CLAIM-RMRR'] }), tied).verdict).toBe('refused')
    const relaxed = { ...region, kind: 'direct-relaxable' }
    const usb = { ...PC, groupFacts: { '1': { reserved: known([relaxed]) } } }
    expect(codesOf(planOf(request([GPU]), usb))).toEqual([])
    const unread = { ...PC, groupFacts: { '1': { reserved: unknown('not read') } } }
    expect(codesOf(planOf(request([GPU]), unread))).toEqual(['CLAIM-UNKNOWN-RMRR unknown 1'])
  })

  it('is refused when its wall is thinner than the policy wants, bit by bit', () => {
    const plain = { ...PC, chips: known(['PCI-MSIX-0000:01:00.0']) }
    expect(codesOf(planOf(request([GPU]), plain))).toEqual(['CLAIM-STRENGTH-MSI refuse 1'])
    expect(planOf(request([GPU], { allow: ['CLAIM-STRENGTH-MSI'] }), plain).verdict).toBe('ready')
    const unsure = { ...PC, chips: known([]) }
    expect(codesOf(planOf(request([GPU]), unsure))).toEqual(['CLAIM-UNKNOWN-MSI unknown 1'])
    expect(planOf(request([GPU], { allow: ['CLAIM-STRENGTH-MSI'] }), unsure).verdict).toBe(
      'refused',
    )
    const fake = { ...PC, groupFacts: { '1': { name: known('vfio-noiommu') } } }
    expect(codesOf(planOf(request([GPU]), fake))).toEqual([
      'CLAIM-STRENGTH-TRANSLATION refuse 1',
      'CLAIM-STRENGTH-DMA refuse 1',
      'CLAIM-STRENGTH-P2P refuse 1',
      'CLAIM-STRENGTH-MSI refuse 1',
    ])
  })
})

describe('members that stay', () => {
  const below = (bridge: string | null, kernel = '6.12.0'): PlanHost => ({
    functions: [
      { at: '0000:05:00.0', type: null, classCode: 0x060400, driver: bridge, group: '7' },
      { at: '0000:06:01.0', parent: '0000:05:00.0', type: null, driver: 'e1000', group: '7' },
    ],
    chips: PC.chips ?? known([]),
    kernel,
  })
  const nic = request(['0000:06:01.0'])

  it('keep users out as bridges on shpchp do since Linux 5.19', () => {
    expect(codesOf(planOf(nic, below('shpchp')))).toEqual(['CLAIM-BRIDGE refuse 0000:05:00.0'])
    const [finding] = findingsOf(planOf(nic, below('shpchp')))
    expect(finding?.remedy).toBe('echo 0000:05:00.0 > /sys/bus/pci/drivers/shpchp/unbind')
    expect(codesOf(planOf(nic, below('shpchp', '5.18.0')))).toEqual([])
    expect(codesOf(planOf(nic, below('pcieport')))).toEqual([])
    expect(codesOf(planOf(nic, below(null)))).toEqual([])
  })

  it('are no group to give by themselves', () => {
    expect(codesOf(planOf(request(['0000:00:01.0'])))).toEqual([
      'CLAIM-BRIDGES-ONLY refuse 0000:00:01.0',
    ])
  })

  it('may be devices of other buses, which nobody moves', () => {
    const other = (driver: string | null): PlanHost => ({
      ...PC,
      others: [{ name: 'INTC1055:00', bus: known('platform'), driver: known(driver), group: '2' }],
      groupFacts: { '2': { members: [DISK, 'INTC1055:00'] } },
    })
    expect(codesOf(planOf(request([DISK]), other('tgl-pinctrl')))).toEqual([
      'CLAIM-OTHER refuse INTC1055:00',
    ])
    expect(codesOf(planOf(request([DISK]), other(null)))).toEqual([])
  })

  it('may be devices that the group lists and nobody found', () => {
    const host = { ...PC, groupFacts: { '2': { members: [DISK, '0000:02:00.1'] } } }
    expect(codesOf(planOf(request([DISK]), host))).toContain(
      'CLAIM-UNKNOWN-MEMBER unknown 0000:02:00.1',
    )
  })

  it('are parts of the chipset without a driver; with one they are refused unless allowed', () => {
    const chipset = (driver: string | null): PlanHost => ({
      ...PC,
      functions: [
        ...PC.functions,
        {
          at: '0000:00:1f.0',
          type: null,
          classCode: 0x060100,
          driver,
          group: '9',
          multifunction: true,
        },
        {
          at: '0000:00:1f.2',
          type: null,
          classCode: 0x010601,
          driver: 'ahci',
          group: '9',
          multifunction: true,
        },
      ],
    })
    const disk = request(['0000:00:1f.2'])
    const plan = planOf(disk, chipset(null))
    expect(plan.groups[0]?.members[0]?.will).toBe('stays without a driver: a part of the chipset')
    expect(codesOf(plan)).toEqual([])
    const onDriver = planOf(disk, chipset('lpc_ich'))
    expect(codesOf(onDriver)).toEqual(['CLAIM-CHIPSET refuse 0000:00:1f.0'])
    expect(JSON.stringify(onDriver)).toContain('/sys/bus/pci/devices/0000:00:1f.0/class: 0x0601')
    const allowed = planOf(
      request(['0000:00:1f.2'], { allow: ['CLAIM-CHIPSET'] }),
      chipset('lpc_ich'),
    )
    expect(allowed.verdict).toBe('ready')
  })

  it('do not hide a member whose driver is unknown', () => {
    const host = { ...PC, functionFacts: { [SOUND]: { driver: unknown('not read') } } }
    expect(codesOf(planOf(request([GPU]), host))).toEqual([`CLAIM-UNKNOWN-DRIVER unknown ${SOUND}`])
  })
})

describe('a target without a group', () => {
  const bare: PlanHost = {
    functions: [{ at: DISK, driver: 'nvme', group: null }],
    commandLine: 'quiet',
  }

  it('is refused with the cause and the remedy that doctor gives', () => {
    const plan = planOf(request([DISK]), bare)
    expect(codesOf(plan)).toEqual([`CLAIM-NO-GROUP refuse ${DISK}`])
    expect(plan.verdict).toBe('refused')
    expect(findingsOf(plan)[0]?.remedy).toContain('add intel_iommu=on')
    const firmware = { ...bare, readiness: { acpiTables: known(['APIC']) } }
    expect(findingsOf(planOf(request([DISK]), firmware))[0]?.fact).toContain(
      'firmware describes no IOMMU',
    )
  })

  it('is refused beside others that have one', () => {
    const mixed = { ...PC, functions: [...PC.functions, { at: '0000:09:00.0', group: null }] }
    const plan = planOf(request([DISK, '0000:09:00.0']), mixed)
    expect(codesOf(plan)).toEqual(['CLAIM-NO-GROUP refuse 0000:09:00.0'])
    expect(plan.groups).toHaveLength(1)
  })
})

describe('the request', () => {
  it('must name a driver that gives devices to users', () => {
    const drivers = ['pci-stub', 'e1000e', 'my_vfio', 'vfio-platform']
    const codes = drivers.map((driver) =>
      codesOf(planOf(request([DISK], { driver }), { ...PC, drivers })),
    )
    expect(codes).toEqual([
      ['CLAIM-NOT-VFIO refuse'],
      ['CLAIM-NOT-VFIO refuse'],
      ['CLAIM-NOT-VFIO unknown'],
      ['CLAIM-NOT-VFIO refuse'],
    ])
  })

  it('is refused when there is no such driver', () => {
    const without = { ...PC, drivers: [], readiness: { vfioPciAvailable: known(false) } }
    expect(codesOf(planOf(request([DISK]), without))).toEqual(['CLAIM-DRIVER refuse'])
  })

  it('cannot allow what is no code, or what can never be allowed', () => {
    const codes = (allow: string): readonly string[] =>
      codesOf(planOf(request([DISK], { allow: [allow] })))
    expect(codes('claim-open')).toEqual(['CLAIM-ALLOW refuse'])
    expect(codes('__proto__')).toEqual(['CLAIM-ALLOW refuse'])
    expect(codes('toString')).toEqual(['CLAIM-ALLOW refuse'])
    expect(codes('CLAIM-MOUNTED')).toEqual(['CLAIM-ALLOW warn'])
    expect(codes('CLAIM-OPEN')).toEqual([])
    expect(
      planOf(request([DISK], { allow: ['x'.repeat(9999)] })).findings[0]?.fact.length,
    ).toBeLessThan(200)
  })

  it('warns when the owner may lock little memory, or nobody knows how much', () => {
    const asked = request([DISK], { owner: ALICE })
    expect(codesOf(planOf(asked))).toEqual([])
    expect(codesOf(planOf(asked, { ...PC, memlock: known(8 * 2 ** 20) }))).toEqual([
      'CLAIM-MEMLOCK warn',
    ])
    expect(codesOf(planOf(asked, { ...PC, memlock: unknown('runs nothing') }))).toEqual([
      'CLAIM-MEMLOCK warn',
    ])
    const root = request([DISK], { owner: { uid: 0, gid: 0, name: 'root' } })
    expect(codesOf(planOf(root, { ...PC, memlock: known(0) }))).toEqual([])
  })
})
