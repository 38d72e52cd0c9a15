import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { unknown, valueOr } from '../base/fact.ts'
import type { HostSnapshot } from '../isolation/host.ts'
import { buildTopology } from '../isolation/topology/topology.ts'
import { parseLspci } from './parse-lspci.ts'
import { DENIED, NAMES, VERBOSE } from './sample.case.ts'

/** Anything but a refusal is a bug; a refusal is null. */
function parse(text: string): HostSnapshot | null {
  try {
    return parseLspci(text, { label: 'test', names: NAMES })
  } catch (failure) {
    if (failure instanceof IsogroupError && failure.code === 'bad-lspci') return null
    throw failure
  }
}

const ROW = '00: 86 80 b8 9d 07 04 10 00 f0 00 04 06 10 00 81 00'
const LINES = [
  ...VERBOSE.split('\n'),
  ...DENIED.split('\n'),
  ROW,
  ROW.replace('00:', 'ff0:'),
  '!!! Unknown header type 7f',
  'Slot:\t01:00.0',
  'Class:\tPCI bridge [0604]',
  'Driver:\tx',
  'IOMMU Group 3:',
  '[...]',
  '[    0.1] pci 0000:00:1c.0: Adding to iommu group 4',
  '[    0.0] Linux version 6.1.0 (x)',
  'Capabilities: [40] <chain looped>',
  'Initial VFs: 65535, Total VFs: 65535, Number of VFs: 65535, x',
  '10000:e0:06.0 PCI bridge: X (prog-if 00 [Normal decode])',
  '\tBus: primary=01, secondary=00, subordinate=ff, sec-latency=0',
]

const line = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...LINES) },
  { weight: 1, arbitrary: fc.string({ maxLength: 100 }) },
  {
    weight: 1,
    arbitrary: fc.string({
      unit: fc.constantFrom(
        '0',
        '1',
        'a',
        'f',
        ':',
        '.',
        '[',
        ']',
        '(',
        '<',
        '>',
        '"',
        '=',
        ' ',
        '\t',
      ),
    }),
  },
)
const mutated = fc
  .tuple(line, fc.nat(), fc.nat(), fc.string({ maxLength: 3 }))
  .map(([text, from, length, put]) => {
    const start = from % (text.length + 1)
    return text.slice(0, start) + put + text.slice(start + (length % 4))
  })
const pasted = fc.array(fc.oneof(line, mutated), { maxLength: 60 }).map((lines) => lines.join('\n'))

describe('parseLspci on anything', () => {
  it('gives a snapshot or refuses, for text without sense', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        parse(text)
      }),
      { numRuns: 2000 },
    )
  })

  it('gives ordered, unique functions whose parents are listed, for mixed and damaged lines', () => {
    fc.assert(
      fc.property(pasted, (text) => {
        const host = parse(text)
        if (host === null) return
        const addresses = host.functions.map((fn) => fn.address)
        expect(new Set(addresses).size).toBe(addresses.length)
        for (const fn of host.functions) {
          if (fn.parent !== null) expect(addresses).toContain(fn.parent)
          const physical = valueOr(fn.physicalFunction, null)
          if (physical !== null) expect(addresses).toContain(physical)
          expect(fn.parent).not.toBe(fn.address)
        }
        buildTopology(host)
        expect(JSON.parse(JSON.stringify(host))).toEqual(host)
      }),
      { numRuns: 3000 },
    )
  })

  it('makes unknowns, not other values, where a text is cut off', () => {
    const whole = parse(VERBOSE)
    fc.assert(
      fc.property(fc.nat(VERBOSE.length), (length) => {
        const text = VERBOSE.slice(0, length)
        const part = parse(text)
        // A text that ends between two devices looks whole, and a slot then has fewer functions.
        const between = text.endsWith('\n\n')
        for (const fn of part?.functions ?? []) {
          const full = whole?.functions.find((candidate) => candidate.address === fn.address)
          const pairs = [
            [fn.vendor, full?.vendor],
            [fn.device, full?.device],
            [fn.classCode, full?.classCode],
            [fn.revision, full?.revision],
            [fn.subsystem, full?.subsystem],
            [fn.driver, full?.driver],
            [fn.config.headerType, full?.config.headerType],
            [between ? unknown('') : fn.config.multifunction, full?.config.multifunction],
            [fn.config.buses, full?.config.buses],
            [fn.config.pcie, full?.config.pcie],
            [fn.config.sriov, full?.config.sriov],
            [fn.config.functionLevelReset, full?.config.functionLevelReset],
            [fn.config.capabilities, full?.config.capabilities],
            [fn.config.extendedCapabilities, full?.config.extendedCapabilities],
          ] as const
          for (const [cut, uncut] of pairs) if (cut.known) expect(cut).toEqual(uncut)
          const acs = valueOr(fn.config.acs, undefined)
          if (acs === undefined) continue
          const fullAcs = full === undefined ? undefined : valueOr(full.config.acs, undefined)
          if (acs === null || acs.bits.known) expect(acs).toEqual(fullAcs)
          else expect(fullAcs).not.toBeNull()
        }
      }),
      { numRuns: 1500 },
    )
  })

  // Each takes a few milliseconds; with a pattern that backtracks it would take hours.
  it.each([
    ...[' ', '> ', '\n', '00:00.0 A: b\n', '00: 00\n', 'Capabilities: [', '[', 'a@b ', '- '],
    ...['00:00.0 "', 'Slot: 00:00.0\n', 'primary=3D=\n', '00:00.0 A: x Device ', '&lt;', '<p '],
  ])('does not take long when %j is repeated', { timeout: 5000 }, (piece) => {
    parse(piece.repeat(Math.floor(400_000 / piece.length)))
  })
})
