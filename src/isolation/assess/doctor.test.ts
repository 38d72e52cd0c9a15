import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Finding } from '../../base/finding.ts'
import { known } from '../../base/fact.ts'
import { unreadConfig } from '../../pci/config-facts.ts'
import { FINDINGS } from '../findings.ts'
import type { HostReadiness, HostSnapshot } from '../host.ts'
import { GOOD_HOST, NOT_READ, READY, snapshotOf, type TestHost } from './assess.case.ts'
import { doctor } from './doctor.ts'
import type { DoctorReport } from './readiness.ts'

function examine(host: TestHost, readiness: Partial<HostReadiness> = {}): DoctorReport {
  return doctor(snapshotOf(host), { ...READY, ...readiness }, { kernel: null })
}

function byCode(report: DoctorReport, code: string): Finding | undefined {
  return report.findings.find((one) => one.code === code)
}

function severity(report: DoctorReport, code: string): string | undefined {
  return byCode(report, code)?.severity
}

describe('doctor() sums up', () => {
  it('a host on which all is well is ready, and says what was looked at', () => {
    const report = examine(GOOD_HOST)
    expect(report.findings.filter((one) => one.severity !== 'ok')).toEqual([])
    expect(report.verdict).toBe('ready')
    expect(report.findings.length).toBeGreaterThan(8)
  })

  it('a warning leaves it ready', () => {
    const report = examine({ ...GOOD_HOST, kernel: '5.10.0' })
    expect(severity(report, 'HOST-KERNEL')).toBe('warning')
    expect(report.verdict).toBe('ready-with-warnings')
  })

  it('so does an unknown that cannot be a problem', () => {
    const report = examine({ ...GOOD_HOST, groupFacts: { '1': { reserved: NOT_READ } } })
    expect(severity(report, 'HOST-RMRR')).toBe('unknown')
    expect(report.verdict).toBe('ready-with-warnings')
  })

  it('a problem does not', () => {
    const commandLine = 'pcie_acs_override=downstream'
    const report = examine({ ...GOOD_HOST, commandLine })
    expect(byCode(report, 'GRP-OVERRIDE')).toMatchObject({
      severity: 'problem',
      evidence: ['/proc/cmdline: pcie_acs_override=downstream'],
    })
    expect(report.verdict).toBe('not-ready')
  })

  it('an ordinary user whose host is fine learns what only root can see, and still gets a verdict', () => {
    const functionFacts = { '0000:00:01.0': { config: unreadConfig('only 64 bytes readable') } }
    const report = examine(
      { ...GOOD_HOST, functionFacts },
      { uid: known(1000), mayLockMemory: known(false), memlock: known(8 * 2 ** 20) },
    )
    expect(byCode(report, 'HOST-REGISTERS')).toMatchObject({
      severity: 'unknown',
      remedy: 'run as root',
      about: ['0000:00:01.0'],
    })
    expect(byCode(report, 'HOST-CONTAINER')).toBeUndefined()
    expect(report.verdict).toBe('ready-with-warnings')
  })

  it('root that may not read config space is told that this looks like a container', () => {
    const config = { ...unreadConfig('only 64 bytes readable'), size: 64 }
    const functionFacts = { '0000:00:01.0': { config }, '0000:01:00.0': { config } }
    const report = examine({ ...GOOD_HOST, functionFacts })
    const ordinary = examine({ ...GOOD_HOST, functionFacts }, { uid: known(1000) })
    expect(severity(report, 'HOST-CONTAINER')).toBe('info')
    expect(severity(ordinary, 'HOST-CONTAINER')).toBeUndefined()
    expect(byCode(report, 'HOST-REGISTERS')?.remedy).toContain('host itself')
  })

  it('a place without PCI is unknown, not ready', () => {
    const report = doctor({ ...snapshotOf({ functions: [] }), groups: NOT_READ }, READY, {
      kernel: null,
    })
    expect(severity(report, 'HOST-NO-PCI')).toBe('unknown')
    expect(report.verdict).toBe('unknown')
  })

  it('a kernel version asked for counts instead of the own one', () => {
    const snapshot = snapshotOf(GOOD_HOST)
    const report = doctor(snapshot, READY, { kernel: { major: 5, minor: 4 } })
    expect(severity(report, 'HOST-KERNEL')).toBe('warning')
    const unsaid = doctor({ ...snapshot, kernelRelease: NOT_READ }, READY, { kernel: null })
    expect(severity(unsaid, 'HOST-KERNEL')).toBe('unknown')
  })
})

describe('doctor() on groups', () => {
  it('lists functions without a group, the normal ones apart from the others', () => {
    const functions = [
      { at: '0000:00:00.2', type: null, classCode: 0x080600, group: null },
      { at: '0000:00:14.0', type: null, group: null },
      ...GOOD_HOST.functions,
    ]
    const report = examine({ ...GOOD_HOST, functions })
    expect(byCode(report, 'HOST-UNGROUPED-NORMAL')).toMatchObject({
      severity: 'info',
      about: ['0000:00:00.2'],
    })
    expect(byCode(report, 'HOST-UNGROUPED')).toMatchObject({
      severity: 'warning',
      about: ['0000:00:14.0'],
    })
  })

  it('a function whose group was not read is unknown', () => {
    const functionFacts = { '0000:01:00.0': { group: NOT_READ } }
    const groupFacts = { '1': { members: [] } }
    const report = examine({ ...GOOD_HOST, functionFacts, groupFacts })
    expect(byCode(report, 'HOST-UNGROUPED')).toMatchObject({
      severity: 'unknown',
      evidence: ['group: permission denied'],
    })
  })

  it('names the groups that firmware ties to fixed memory, and those it could not ask', () => {
    const fixed = known([{ start: '0x1000', end: '0x1fff', kind: 'direct' }])
    const report = examine({
      ...GOOD_HOST,
      groupFacts: { '0': { reserved: NOT_READ }, '1': { reserved: fixed } },
    })
    const found = report.findings.filter(({ code }) => code === 'HOST-RMRR')
    expect(found.map((one) => [one.severity, one.about])).toEqual([
      ['warning', ['1']],
      ['unknown', ['0']],
    ])
  })
})

const UNREAD_READINESS: HostReadiness = {
  acpiTables: NOT_READ,
  cpuVendor: NOT_READ,
  cpuFlags: NOT_READ,
  machine: NOT_READ,
  uid: NOT_READ,
  memlock: NOT_READ,
  memory: NOT_READ,
  mayLockMemory: NOT_READ,
  vfioPciAvailable: NOT_READ,
}

/** Facts of a snapshot that can be taken away, each without the others. */
const FORGET: readonly ((snapshot: HostSnapshot) => HostSnapshot)[] = [
  (snapshot) => ({ ...snapshot, kernelRelease: NOT_READ }),
  (snapshot) => ({ ...snapshot, commandLine: NOT_READ }),
  (snapshot) => ({ ...snapshot, groups: NOT_READ }),
  (snapshot) => ({ ...snapshot, units: NOT_READ }),
  (snapshot) => ({ ...snapshot, interruptChips: NOT_READ }),
  (snapshot) => ({ ...snapshot, vfio: { ...snapshot.vfio, modules: NOT_READ } }),
  (snapshot) => ({ ...snapshot, vfio: { ...snapshot.vfio, nodes: NOT_READ } }),
]

const someSnapshot = fc
  .record({
    commandLine: fc.constantFrom(
      '',
      'intel_iommu=on',
      'intel_iommu=off',
      'pcie_acs_override=id:x',
      'iommu=pt',
    ),
    chip: fc.constantFrom('IR-IO-APIC', 'IO-APIC', 'DMAR-MSI'),
    modules: fc.subarray(['vfio', 'vfio_pci', 'vfio_iommu_type1']),
    nodes: fc.subarray(['vfio', 'noiommu-1']),
    grouped: fc.boolean(),
    kernel: fc.constantFrom('4.19.0', '6.12.1'),
  })
  .map(({ commandLine, chip, modules, nodes, grouped, kernel }) => {
    const vfio = { modules: known(modules), parameters: {}, nodes: known(nodes) }
    const functions = GOOD_HOST.functions.map((fn) => (grouped ? fn : { ...fn, group: null }))
    return snapshotOf({ ...GOOD_HOST, functions, commandLine, kernel, chips: known([chip]), vfio })
  })

const someReadiness = fc.record(
  Object.fromEntries(
    Object.entries(READY).map(([name, fact]) => [name, fc.constantFrom(fact, NOT_READ)]),
  ),
) as fc.Arbitrary<HostReadiness>

describe('doctor() as a whole', () => {
  it('gives only findings of the catalogue, with a severity listed there and with evidence', () => {
    fc.assert(
      fc.property(someSnapshot, someReadiness, (snapshot, readiness) => {
        for (const one of doctor(snapshot, readiness, { kernel: null }).findings) {
          const kind = FINDINGS[one.code as keyof typeof FINDINGS]
          expect(kind.severities, one.code).toContain(one.severity)
          expect(one.fact, one.code).not.toBe('')
          expect(one.evidence.length, one.code).toBeGreaterThan(0)
          if (one.severity === 'problem') expect(one.remedy, one.code).not.toBe('')
        }
      }),
    )
  })

  it('what is not known never makes a host ready that was not', () => {
    fc.assert(
      fc.property(
        someSnapshot,
        fc.subarray([...FORGET]),
        someReadiness,
        (snapshot, forget, known) => {
          const less = forget.reduce((changed, one) => one(changed), snapshot)
          const before = doctor(snapshot, READY, { kernel: null }).verdict
          const after = doctor(less, known, { kernel: null }).verdict
          if (before === 'not-ready') expect(after).not.toMatch(/^ready/)
          if (before !== 'ready') expect(after).not.toBe('ready')
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('a host of which nothing is known is unknown, and no finding says ok', () => {
    const nothing = FORGET.reduce((changed, one) => one(changed), snapshotOf(GOOD_HOST))
    const blind = {
      ...nothing,
      functions: nothing.functions.map((fn) => ({ ...fn, config: unreadConfig('not read') })),
      vfio: { ...nothing.vfio, parameters: {} },
    }
    const report = doctor(blind, UNREAD_READINESS, { kernel: null })
    expect(report.findings.filter((one) => one.severity === 'ok')).toEqual([])
    expect(report.verdict).toBe('unknown')
  })
})
