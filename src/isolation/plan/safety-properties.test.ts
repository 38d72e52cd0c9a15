import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Fact, known, unknown } from '../../base/fact.ts'
import type { DeviceUsage } from '../live-host.ts'
import { codesOf, DISK, GPU, PC, type PlanHost, planOf, request, SOUND } from './plan.case.ts'
import { findingsOf } from './plan.ts'
import { SAFETY_FINDINGS, type SafetyCode } from './safety-codes.ts'
import { refuses } from './safety-finding.ts'

function using(usage: Readonly<Record<string, Partial<DeviceUsage>>>): PlanHost {
  return { ...PC, usage }
}

describe('any combination of facts and allowances', () => {
  const disk = fc.constantFrom('root', 'boot', 'mount', 'swap', 'holder', 'zfs', 'open')
  const network = fc.constantFrom('address', 'route', 'default', 'login', 'port', 'up')
  const display = fc.constantFrom('boot-display', 'framebuffer', 'console')
  const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Fact<T>> =>
    fc.oneof(
      { weight: 4, arbitrary: value.map((one) => known(one)) },
      { weight: 1, arbitrary: fc.constant(unknown('why')) },
    )
  const some = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(value, { maxLength: 2 })
  const usage = fc.record({
    disks: maybe(some(disk.map((use) => ({ name: 'sda', use, detail: '/x' }) as const))),
    networks: maybe(some(network.map((use) => ({ name: 'eth0', use, detail: '' }) as const))),
    displays: maybe(some(display.map((use) => ({ use, name: 'fb0' }) as const))),
    programs: maybe(some(fc.constant({ pid: 7, name: 'x', uid: 0, file: '/dev/x' }))),
    virtualFunctions: maybe(some(fc.constant('0000:01:10.0'))),
  })
  const allow = fc.subarray(Object.keys(SAFETY_FINDINGS))

  it('is refused exactly when a finding refuses, never without one, and data is never allowed away', () => {
    fc.assert(
      fc.property(usage, usage, allow, (gpu, sound, allowed) => {
        const host = using({ [GPU]: gpu, [SOUND]: sound })
        const plan = planOf(request([GPU], { allow: allowed }), host)
        const findings = findingsOf(plan)
        expect(plan.verdict === 'refused').toBe(findings.some(refuses))
        for (const { disks, networks } of [gpu, sound]) {
          if (!disks.known || disks.value.length > 0) expect(plan.verdict).toBe('refused')
          const login = networks.known && networks.value.some(({ use }) => use === 'login')
          if (login || !networks.known) expect(plan.verdict).toBe('refused')
        }
        for (const finding of findings) {
          expect(SAFETY_FINDINGS[finding.code].verdicts).toContain(finding.verdict)
          if (finding.allowed) expect(allowed).toContain(finding.code)
        }
      }),
    )
  })

  it('is judged the same whichever member is named', () => {
    fc.assert(
      fc.property(usage, usage, (gpu, sound) => {
        const host = using({ [GPU]: gpu, [SOUND]: sound })
        const [one, other] = [planOf(request([GPU]), host), planOf(request([SOUND]), host)]
        expect(codesOf(one)).toEqual(codesOf(other))
        expect(one.actions).toEqual(other.actions)
      }),
    )
  })

  it('allowing everything that can be allowed leaves only what can never be', () => {
    fc.assert(
      fc.property(usage, (sound) => {
        const allowed = Object.keys(SAFETY_FINDINGS).filter(
          (code) => SAFETY_FINDINGS[code as SafetyCode].overridable,
        )
        const plan = planOf(request([GPU], { allow: allowed }), using({ [SOUND]: sound }))
        for (const finding of findingsOf(plan)) {
          expect(refuses(finding)).toBe(
            finding.verdict !== 'warn' && !SAFETY_FINDINGS[finding.code].overridable,
          )
        }
      }),
    )
  })

  it('free members are never refused', () => {
    expect(planOf(request([GPU, DISK])).verdict).toBe('ready')
  })
})

describe('codes in the source', () => {
  it('are given somewhere, every one of the catalogue', () => {
    const folder = new URL('./', import.meta.url)
    const files = readdirSync(folder).filter(
      (name) => /^[a-z-]+\.ts$/.test(name) && name !== 'safety-codes.ts',
    )
    const text = files.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('')
    const unused = Object.keys(SAFETY_FINDINGS).filter((code) => !text.includes(`'${code}'`))
    expect(unused).toEqual([])
  })
})

describe('docs/reference/findings.md', () => {
  const document = readFileSync(
    new URL('../../../docs/reference/findings.md', import.meta.url),
    'utf8',
  )

  it('has a row for every code of the catalogue, and no other, in the same words', () => {
    const rows = document.split('\n').filter((line) => line.startsWith('| `CLAIM-'))
    expect(rows).toEqual(
      Object.entries(SAFETY_FINDINGS).map(
        ([code, { verdicts, overridable, meaning, remedy }]) =>
          `| \`${code}\` | ${verdicts.join(', ')} | ${overridable ? 'yes' : 'no'} | ${meaning} | ${remedy} |`,
      ),
    )
  })
})
