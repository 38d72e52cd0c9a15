import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { known, unknown } from '../base/fact.ts'
import { MACHINE_FORMAT, parseMachine } from './machine-file.ts'

const SMALL = {
  format: 'isogroup-machine',
  version: 1,
  name: 'small',
  category: 'test',
  kernel: '6.1.0',
  source: { messageIds: ['a@b'], note: 'made up' },
  snapshot: {
    kernelRelease: '6.1.0',
    commandLine: { '?': 'nobody told' },
    hostedBuses: [{ bus: '10000:e0', host: '0000:00:01.0' }],
    functions: [
      {
        at: '0000:01:00.0',
        vendor: '8086',
        device: { '?': 'no' },
        class: '020000',
        up: '0000:00:01.0',
      },
      {
        ...{ at: '0000:00:01.0', vendor: '8086', device: '9d10', class: '060400', rev: 'f1' },
        ...{ name: 'Port', className: 'PCI bridge', sub: '1028:08b0', driver: 'pcieport' },
        ...{ header: 1, multi: true, buses: '00-01-03', pcie: 4, acs: '5f/1d', flr: { '?': 'x' } },
        ...{ sriov: '8/2/128/4/1520', caps: '10 05', ext: '0001 000d', damage: ['bent'] },
      },
    ],
  },
  expectedGroups: { '7': ['0000:00:01.0', '0000:01:00.0'] },
  unlisted: ['0000:02:00.0'],
}

/** SMALL with one member, named by its path, set to something else. */
function withMember(path: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(SMALL) as unknown
  let at = copy as Record<string | number, unknown>
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>
  at[path.at(-1) ?? ''] = value
  return copy
}

describe('parseMachine', () => {
  it('reads every member', () => {
    const machine = parseMachine(SMALL)
    expect(machine).toMatchObject({ name: 'small', kernel: '6.1.0', unlisted: ['0000:02:00.0'] })
    expect(machine.expected.get('0000:01:00.0')).toBe('7')
    expect(machine.snapshot.commandLine).toEqual(unknown('nobody told'))
    expect(machine.snapshot.groups).toMatchObject(
      known([{ id: '7', members: ['0000:00:01.0', '0000:01:00.0'] }]),
    )
    expect(machine.snapshot.functions[0]).toMatchObject({
      address: '0000:00:01.0',
      revision: known(0xf1),
      subsystem: known({ vendor: 0x1028, device: 0x08b0 }),
      group: known('7'),
      config: {
        buses: known({ primary: 0, secondary: 1, subordinate: 3 }),
        acs: known({ bits: known({ capability: 0x5f, control: 0x1d }) }),
        sriov: known({ totalVfs: 8, numVfs: 2, offset: 128, stride: 4, vfDevice: 0x1520 }),
        capabilities: known([0x10, 0x05]),
        extendedCapabilities: known([0x01, 0x0d]),
        functionLevelReset: unknown('x'),
        damage: ['bent'],
      },
    })
  })

  it('gives a member that is left out its documented value', () => {
    const fn = parseMachine(SMALL).snapshot.functions[1]
    expect(fn).toMatchObject({
      ...{
        parent: '0000:00:01.0',
        revision: known(0),
        subsystem: known(null),
        driver: known(null),
      },
      ...{ physicalFunction: known(null), name: null, device: unknown('no') },
      config: {
        ...{ headerType: known(0), multifunction: known(false), buses: known(null) },
        ...{ pcie: known(null), acs: known(null), sriov: known(null), capabilities: known([]) },
        functionLevelReset: known(false),
      },
    })
  })

  it.each([
    [['format'], 'x', 'format: expected "isogroup-machine", found "x"'],
    [['name'], undefined, 'name: expected a text, found nothing'],
    [['colour'], 1, 'colour: expected no member of this name'],
    [['snapshot', 'functions'], {}, 'snapshot.functions: expected a list, found an object'],
    [['snapshot', 'functions', 0], 7, 'snapshot.functions[0]: expected an object, found 7'],
    [['snapshot', 'functions', 0, 'at'], '01:00.0', 'functions[0].at: expected an address'],
    [['snapshot', 'functions', 0, 'vendor'], '808', 'functions[0].vendor: expected 4 hex'],
    [['snapshot', 'functions', 0, 'acs'], '5f', 'functions[0].acs: expected ACS registers'],
    [['snapshot', 'functions', 0, 'pcie'], 16, 'functions[0].pcie: expected a whole number'],
    [['snapshot', 'functions', 0, 'multi'], 'yes', 'functions[0].multi: expected true or false'],
    [['snapshot', 'functions', 0, 'busses'], '', 'functions[0].busses: expected no member'],
    [['snapshot', 'functions', 0, 'ext'], '01', 'functions[0].ext: expected 4 hex'],
    [['snapshot', 'functions', 0, 'up'], '0000:09:00.0', 'functions[0].up: expected the address'],
    [
      ['expectedGroups', '8'],
      ['0000:00:01.0'],
      'expectedGroups.8[0]: expected a function that is in',
    ],
    [['expectedGroups', 'x'], [], 'expectedGroups.x: expected a group number'],
  ] as const)('names the path when %j is %j', (path, value, message) => {
    const parse = (): unknown => parseMachine(withMember(path, value))
    expect(parse).toThrow(IsogroupError)
    expect(parse).toThrow(message)
  })

  it('refuses a newer version with its own code', () => {
    expect(() => parseMachine(withMember(['version'], 2))).toThrow(
      expect.objectContaining({ code: 'newer-version' }) as Error,
    )
  })

  it('refuses anything else with bad-machine, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.constantFrom(...paths(SMALL)), fc.jsonValue(), (path, value) => {
        try {
          parseMachine(withMember(path, value))
        } catch (failure) {
          expect(failure).toBeInstanceOf(IsogroupError)
          expect(['bad-machine', 'newer-version']).toContain((failure as IsogroupError).code)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

/** The path of every member and item. */
function paths(value: unknown, at: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = [...at, Array.isArray(value) ? Number(key) : key]
    return [path, ...paths(inner, path)]
  })
}

describe('machines/', () => {
  const folder = new URL('../../machines/', import.meta.url)
  const formatOf = (name: string): unknown =>
    (JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as { format: unknown }).format
  const files = readdirSync(folder).filter(
    (name) => name.endsWith('.json') && formatOf(name) === MACHINE_FORMAT,
  )

  it('holds the eight real machines', () => {
    expect(files.length).toBeGreaterThanOrEqual(8)
  })

  it.each(files)('%s can be read, and is named like its file', (file) => {
    const text = readFileSync(new URL(file, folder), 'utf8')
    const machine = parseMachine(JSON.parse(text))
    expect(`${machine.name}.json`).toBe(file)
    const listed = new Set(machine.snapshot.functions.map((fn) => fn.address))
    for (const at of machine.expected.keys()) expect(listed).toContain(at)
    for (const at of machine.unlisted) expect(listed).not.toContain(at)
    expect(listed.size).toBeGreaterThan(10)
    // What a kernel with its IOMMU off formed is known, too: nothing.
    expect(machine.expected.size === 0).toBe(file === 'q35-iommu-off.json')
    // One line for each function keeps changes readable.
    expect(text.split('\n').filter((line) => line.includes('"at": '))).toHaveLength(listed.size)
  })

  it('holds no serial numbers', () => {
    for (const file of files) {
      const text = readFileSync(new URL(file, folder), 'utf8')
      expect(text).not.toMatch(/(?:[0-9a-f]{2}-){7}[0-9a-f]{2}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/i)
    }
  })
})
