import { describe, expect, it } from 'vitest'
import type { Finding } from '../../base/finding.ts'
import { known } from '../../base/fact.ts'
import type { HostReadiness } from '../host.ts'
import { GOOD_HOST, NOT_READ, READY, snapshotOf, type TestHost } from './assess.case.ts'
import { doctor } from './doctor.ts'
import { formatBytes } from './limit-findings.ts'

/** The findings of a host whose codes begin so, as "CODE severity". */
function findings(
  prefix: string,
  host: Partial<TestHost> = {},
  readiness: Partial<HostReadiness> = {},
): Finding[] {
  const snapshot = snapshotOf({ ...GOOD_HOST, ...host })
  const report = doctor(snapshot, { ...READY, ...readiness }, { kernel: null })
  return report.findings.filter(({ code }) => code.startsWith(prefix))
}

function brief(list: readonly Finding[]): string[] {
  return list.map(({ code, severity }) => `${code} ${severity}`)
}

/** The same host with its IOMMU off. */
const OFF = {
  functions: GOOD_HOST.functions.map((fn) => ({ ...fn, group: null })),
  units: [],
  commandLine: 'quiet',
}

describe('why there is no IOMMU', () => {
  function cause(host: Partial<TestHost>, readiness: Partial<HostReadiness> = {}): string[] {
    return brief(findings('HOST-IOMMU', { ...OFF, ...host }, readiness))
  }
  const NO_TABLE = { acpiTables: known(['APIC', 'FACP']) }
  const AMD = { acpiTables: known(['IVRS']), cpuVendor: known('AuthenticAMD') }

  it('firmware: no table on a real machine', () => {
    const [found] = findings('HOST-IOMMU', OFF, NO_TABLE)
    expect(found).toMatchObject({ code: 'HOST-IOMMU-FIRMWARE', severity: 'problem' })
    expect(found?.remedy).toContain('VT-d')
    const amd = { ...NO_TABLE, cpuVendor: known('AuthenticAMD') }
    expect(findings('HOST-IOMMU', OFF, amd)[0]?.remedy).toContain('"IOMMU"')
  })

  it('a virtual machine without one', () => {
    expect(cause({}, { ...NO_TABLE, cpuFlags: known(['hypervisor']) })).toEqual([
      'HOST-IOMMU-VM problem',
    ])
  })

  it('an Intel machine that was not told to use it', () => {
    const [found] = findings('HOST-IOMMU', OFF)
    expect(found).toMatchObject({ code: 'HOST-IOMMU-ARGUMENT', severity: 'problem' })
    expect(found?.remedy).toContain('add intel_iommu=on')
  })

  it.each(['intel_iommu=off', 'intel_iommu=on,off', 'iommu=off', 'intel_iommu=on iommu=off'])(
    'turned off: %s',
    (commandLine) => {
      const [found] = findings('HOST-IOMMU', { ...OFF, commandLine })
      expect(found).toMatchObject({ code: 'HOST-IOMMU-ARGUMENT' })
      expect(found?.remedy).toContain('remove off')
    },
  )

  it("another maker's argument does not count, and an AMD machine needs none", () => {
    expect(cause({ commandLine: 'amd_iommu=off intel_iommu=on' })).toEqual([
      'HOST-IOMMU-DRIVER problem',
    ])
    expect(cause({ commandLine: 'intel_iommu=off' }, AMD)).toEqual(['HOST-IOMMU-DRIVER problem'])
    expect(cause({ commandLine: 'amd_iommu=off' }, AMD)).toEqual(['HOST-IOMMU-ARGUMENT problem'])
  })

  it('a kernel without the driver: told to, described, and nothing happens', () => {
    expect(cause({ commandLine: 'intel_iommu=on' })).toEqual(['HOST-IOMMU-DRIVER problem'])
  })

  it('is left open when the tables, the processor or the command line could not be read', () => {
    expect(cause({}, { acpiTables: NOT_READ })).toEqual(['HOST-IOMMU problem'])
    expect(cause({}, { ...NO_TABLE, cpuFlags: NOT_READ })).toEqual(['HOST-IOMMU problem'])
    expect(cause({}, { ...NO_TABLE, machine: known('aarch64') })).toEqual(['HOST-IOMMU problem'])
    const blind = { ...snapshotOf({ ...GOOD_HOST, ...OFF }), commandLine: NOT_READ }
    const report = doctor(blind, READY, { kernel: null })
    expect(brief(report.findings)).toContain('HOST-IOMMU problem')
  })

  it('says nothing about interrupts, groups or functions then, since all hangs on it', () => {
    const codes = brief(findings('HOST-', OFF)).join(' ')
    expect(codes).not.toMatch(/INTREMAP|RMRR|UNGROUPED/)
  })
})

describe('firmware', () => {
  it('is read from the ACPI tables', () => {
    expect(brief(findings('HOST-FIRMWARE'))).toEqual(['HOST-FIRMWARE ok'])
    const none = { acpiTables: known<string[]>([]) }
    expect(brief(findings('HOST-FIRMWARE', {}, none))).toEqual(['HOST-FIRMWARE info'])
    const unread = { acpiTables: NOT_READ }
    expect(brief(findings('HOST-FIRMWARE', {}, unread))).toEqual(['HOST-FIRMWARE unknown'])
  })
})

describe('kernel arguments', () => {
  it.each([
    ['iommu=pt', 'HOST-ARG-PASSTHROUGH info'],
    ['iommu.passthrough=1', 'HOST-ARG-PASSTHROUGH info'],
    ['iommu.strict=0', 'HOST-ARG-STRICT info'],
    ['intel_iommu=on,strict', 'HOST-ARG-STRICT info'],
    ['iommu=soft', 'HOST-ARG-SOFT info'],
    ['intremap=nosid', 'HOST-ARG-NOSID warning'],
    ['pci=disable_acs_redir=0000:00:1c.0', 'HOST-ARG-ACS warning'],
    ['pci=nommconf,config_acs=xx111x1@0000:00:1c.0', 'HOST-ARG-ACS warning'],
    ['pci=noacs', 'HOST-ARG-ACS warning'],
    ['vfio-pci.ids=1234:0001', 'HOST-ARG-VFIO-IDS warning'],
    ['vfio_pci.ids=1234:1', 'HOST-ARG-VFIO-IDS warning'],
    ['vfio-pci.ids=10de:1b80', 'HOST-ARG-VFIO-IDS info'],
    ['intel_iommu=igfx_off', 'HOST-ARG-OFF info'],
  ])('%s: %s', (commandLine, expected) => {
    expect(brief(findings('HOST-ARG-', { commandLine }))).toEqual([expected])
  })

  it.each([
    'iommu=pt,nopt',
    'iommu.passthrough=0',
    'pci=nommconf',
    'intremap=on',
    'root=pcie_acs_override',
  ])('%s: nothing', (commandLine) => {
    expect(brief(findings('HOST-ARG-', { commandLine }))).toEqual([])
    expect(brief(findings('HOST-ARGUMENTS', { commandLine }))).toEqual(['HOST-ARGUMENTS ok'])
  })

  it('the verdict on arguments shows only those that were judged', () => {
    const shown = (commandLine: string): unknown =>
      findings('HOST-ARGUMENTS', { commandLine })[0]?.evidence
    expect(shown('quiet token=secret intel_iommu=on')).toEqual(['/proc/cmdline: intel_iommu=on'])
    expect(shown('quiet token=secret')).toEqual([
      '/proc/cmdline: nothing about IOMMU, interrupts, PCI or VFIO',
    ])
  })

  it('ids that take several devices name all of them', () => {
    const [found] = findings('HOST-ARG-', { commandLine: 'vfio-pci.ids=1234:0001' })
    expect(found?.about).toEqual(['0000:00:01.0', '0000:01:00.0'])
  })
})

describe('interrupts', () => {
  const unsafe = (value: string): Partial<TestHost> => ({
    vfio: {
      ...GOOD_HOST.vfio,
      parameters: { 'vfio_iommu_type1.allow_unsafe_interrupts': value },
    },
  })
  const bare = { chips: known(['IO-APIC']) }

  it('without remapping VFIO refuses: a problem, or a warning where it was told to accept', () => {
    expect(brief(findings('HOST-INTREMAP', bare))).toEqual(['HOST-INTREMAP problem'])
    expect(brief(findings('HOST-INTREMAP', { ...bare, ...unsafe('Y') }))).toEqual([
      'HOST-INTREMAP warning',
    ])
    expect(brief(findings('HOST-INTREMAP', { chips: NOT_READ }))).toEqual(['HOST-INTREMAP unknown'])
  })

  it('the waiver is a warning of its own, from the parameter or the command line', () => {
    expect(brief(findings('HOST-UNSAFE', unsafe('Y')))).toEqual(['HOST-UNSAFE-INTERRUPTS warning'])
    expect(brief(findings('HOST-UNSAFE', unsafe('N')))).toEqual(['HOST-UNSAFE-INTERRUPTS ok'])
    const commandLine = 'vfio_iommu_type1.allow_unsafe_interrupts=1'
    const notLoaded = { vfio: { modules: known<string[]>([]), parameters: {} } }
    expect(brief(findings('HOST-UNSAFE', { ...notLoaded, commandLine }))).toEqual([
      'HOST-UNSAFE-INTERRUPTS warning',
    ])
    // What is set now counts, not what was asked for at boot.
    expect(brief(findings('HOST-UNSAFE', { ...unsafe('N'), commandLine }))).toEqual([
      'HOST-UNSAFE-INTERRUPTS ok',
    ])
    expect(brief(findings('HOST-UNSAFE', notLoaded))).toEqual([])
    const unread = { vfio: { modules: NOT_READ, parameters: {} } }
    expect(brief(findings('HOST-UNSAFE', unread))).toEqual(['HOST-UNSAFE-INTERRUPTS unknown'])
  })
})

describe('VFIO', () => {
  function vfio(
    facts: Partial<TestHost['vfio']>,
    available = known(true) as HostReadiness['vfioPciAvailable'],
  ): string[] {
    const host = { vfio: { ...GOOD_HOST.vfio, ...facts } }
    return brief(findings('HOST-VFIO', host, { vfioPciAvailable: available }))
  }

  it('is loaded, can be loaded, is not there, or nobody knows', () => {
    expect(vfio({})).toEqual(['HOST-VFIO-PCI ok', 'HOST-VFIO-TYPE1 ok', 'HOST-VFIO-NODE ok'])
    const none = { modules: known<string[]>([]), nodes: known<string[]>([]) }
    expect(vfio(none)).toEqual(['HOST-VFIO-PCI info', 'HOST-VFIO-NODE info'])
    expect(vfio(none, known(false))).toEqual(['HOST-VFIO-PCI problem', 'HOST-VFIO-NODE info'])
    expect(vfio(none, NOT_READ)).toEqual(['HOST-VFIO-PCI unknown', 'HOST-VFIO-NODE info'])
    expect(vfio({ modules: NOT_READ, nodes: NOT_READ }, NOT_READ)).toEqual([
      'HOST-VFIO-PCI unknown',
      'HOST-VFIO-TYPE1 unknown',
      'HOST-VFIO-NODE unknown',
    ])
  })

  it('loaded without its back end, or without its node', () => {
    expect(vfio({ modules: known(['vfio', 'vfio_pci']) })).toContain('HOST-VFIO-TYPE1 info')
    expect(vfio({ nodes: known<string[]>([]) })).toContain('HOST-VFIO-NODE problem')
    expect(vfio({ nodes: known(['devices']) })).toContain('HOST-VFIO-NODE ok')
  })

  it('without an IOMMU is a problem when it is done, and a warning when it is allowed', () => {
    const parameters = { 'vfio.enable_unsafe_noiommu_mode': 'Y' }
    const allowed = { vfio: { ...GOOD_HOST.vfio, parameters } }
    expect(brief(findings('HOST-NOIOMMU', allowed))).toEqual(['HOST-NOIOMMU warning'])
    const nodes = { vfio: { ...GOOD_HOST.vfio, nodes: known(['vfio', 'noiommu-0']) } }
    expect(brief(findings('HOST-NOIOMMU', nodes))).toEqual(['HOST-NOIOMMU problem'])
    const groupFacts = { '1': { name: known('vfio-noiommu') } }
    const [named] = findings('HOST-NOIOMMU', { groupFacts })
    expect(named).toMatchObject({ severity: 'problem', about: ['1', '0000:01:00.0'] })
    expect(brief(findings('HOST-NOIOMMU'))).toEqual([])
  })
})

describe('limits', () => {
  function memlock(readiness: Partial<HostReadiness>): Finding | undefined {
    return findings('HOST-MEMLOCK', {}, { mayLockMemory: known(false), ...readiness })[0]
  }

  it('a small limit is a warning that names the user, the need and the command', () => {
    const found = memlock({ uid: known(1000), memlock: known(8 * 2 ** 20) })
    expect(found?.severity).toBe('warning')
    expect(found?.fact).toMatch(/uid 1000 may lock 8 MiB; a guest .* locks all of its memory/)
    expect(found?.remedy).toContain('prlimit')
  })

  it('a large one is told, none is fine, and root needs none', () => {
    expect(memlock({ memlock: known(16 * 2 ** 30) })?.severity).toBe('info')
    expect(memlock({ memlock: known(null) })?.severity).toBe('ok')
    expect(memlock({ memlock: known(0), mayLockMemory: known(true) })?.severity).toBe('ok')
  })

  it('is unknown when the limit, or whether it binds, is unknown', () => {
    expect(memlock({ memlock: NOT_READ })?.severity).toBe('unknown')
    expect(memlock({ memlock: known(0), mayLockMemory: NOT_READ })?.severity).toBe('unknown')
  })

  function entries(value: string | null, modules = ['vfio_iommu_type1']): Finding | undefined {
    const parameters: Record<string, string> =
      value === null ? {} : { 'vfio_iommu_type1.dma_entry_limit': value }
    const vfio = { ...GOOD_HOST.vfio, modules: known(modules), parameters }
    return findings('HOST-DMA', { vfio })[0]
  }

  it('mappings per container: the default is fine, less is a warning, unread is unknown', () => {
    expect(entries('65535')).toMatchObject({ severity: 'ok' })
    expect(entries('65535')?.fact).toContain('128.0 GiB')
    expect(entries('1000000')?.severity).toBe('ok')
    expect(entries('1024')?.severity).toBe('warning')
    expect(entries('many')?.severity).toBe('unknown')
    expect(entries(null)?.severity).toBe('unknown')
    expect(entries(null, [])?.severity).toBe('info')
  })

  it('amounts of memory are short', () => {
    expect([0, 1023, 1024, 65536, 8 * 2 ** 20, 1.5 * 2 ** 30, 2 ** 70].map(formatBytes)).toEqual([
      '0 bytes',
      '1023 bytes',
      '1 KiB',
      '64 KiB',
      '8 MiB',
      '1.5 GiB',
      '1024 EiB',
    ])
  })
})
