import { rmSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { assess } from '../isolation/assess/assess.ts'
import { doctor } from '../isolation/assess/doctor.ts'
import { explainDevice } from '../isolation/explain/explain.ts'
import { comparePrediction } from '../isolation/groups/compare.ts'
import { predictGroups } from '../isolation/groups/predict.ts'
import { rulesFor } from '../isolation/groups/rules.ts'
import type { Host } from '../isolation/host.ts'
import { buildTopology } from '../isolation/topology/topology.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { nativeKernel } from '../kernel/native/native-kernel.ts'
import { recordedKernel } from '../kernel/recorded.ts'
import { decodeBytes, encodeBytes, type Recording } from '../kernel/recording.ts'
import { captureHost } from '../linux/capture.ts'
import { linuxHost } from '../linux/linux-host.ts'
import { sampleTree, writeTree } from '../linux/tree.case.ts'

const RUNS = Number(process.env['ISOGROUP_RUNS'] ?? 300)

const root = writeTree(sampleTree())
const { recording } = captureHost(nativeKernel(root), 'a tree', true)
afterAll(() => {
  rmSync(root, { recursive: true })
})

function facts(host: Host): string {
  const snapshot = host.snapshot()
  const addresses = snapshot.functions.map((fn) => fn.address)
  return JSON.stringify([snapshot, host.details(addresses), host.readiness()])
}

/** Everything that any command computes from a host. */
function everyCommand(host: Host): string {
  const snapshot = host.snapshot()
  const topology = buildTopology(snapshot)
  const rules = rulesFor(snapshot, null)
  const prediction = predictGroups(topology, snapshot, rules)
  return JSON.stringify([
    facts(host),
    assess(snapshot, topology, rules).groups.length,
    comparePrediction(prediction, snapshot, rules),
    doctor(snapshot, host.readiness(), { kernel: null }),
    [...topology.nodes.keys()].map((address) =>
      explainDevice({ snapshot, topology, rules, prediction }, address),
    ),
  ])
}

/** Fails the test where the recording has no answer, also for `exists`, which otherwise says no. */
function strict(answers: Recording, missed: string[]): KernelView {
  const kernel = recordedKernel(answers)
  const ask = <T>(part: Readonly<Record<string, unknown>>, path: string, answer: () => T): T => {
    if (!Object.hasOwn(part, path)) missed.push(path)
    return answer()
  }
  return {
    read: (path, limit) => ask(answers.bytes, path, () => kernel.read(path, limit)),
    text: (path, limit) => ask(answers.text, path, () => kernel.text(path, limit)),
    link: (path) => ask(answers.link, path, () => kernel.link(path)),
    list: (path) => ask(answers.list, path, () => kernel.list(path)),
    exists: (path) => ask(answers.exists, path, () => kernel.exists(path)),
  }
}

describe('a replay', () => {
  it('prints byte for byte what the host did, and asks nothing that was not recorded', () => {
    const missed: string[] = []
    const replayed = everyCommand(linuxHost(strict(recording, missed), 'a tree'))
    expect(replayed).toBe(everyCommand(linuxHost(nativeKernel(root), 'a tree')))
    expect(missed).toEqual([])
  })
})

interface Damage {
  readonly part: 'text' | 'link' | 'list' | 'bytes'
  /** Which entry, as a fraction. */
  readonly at: number
  readonly with: string
  readonly kind: 'replace' | 'insert' | 'error'
}

const ODD = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.constantFrom('', '-1', '99999999999', '0000:00:01.0', '../../..', '0x', '\n\n', 'ffff'),
  fc.constantFrom(...Object.values(recording.link).map(String)),
)

const DAMAGE: fc.Arbitrary<Damage> = fc.record({
  part: fc.constantFrom('text', 'link', 'list', 'bytes'),
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  with: ODD,
  kind: fc.constantFrom('replace', 'insert', 'error'),
})

function damaged(damages: readonly Damage[]): Recording {
  const answers = structuredClone(recording)
  for (const damage of damages) {
    const part = answers[damage.part]
    const paths = Object.keys(part)
    const path = paths[Math.floor(damage.at * paths.length)] ?? ''
    if (damage.kind === 'error') part[path] = { error: 'EIO' }
    else apply(answers, damage, path)
  }
  return answers
}

function apply(answers: Recording, damage: Damage, path: string): void {
  const whole = damage.kind === 'replace'
  if (damage.part === 'bytes') {
    const old = answers.bytes[path]
    const bytes = old !== undefined && 'hex' in old ? decodeBytes(old) : new Uint8Array(64)
    const from = whole ? 0x34 : Math.floor(damage.at * bytes.length)
    for (let i = 0; i < damage.with.length; i++) bytes[from + i] = damage.with.charCodeAt(i)
    answers.bytes[path] = encodeBytes(bytes)
  } else if (damage.part === 'list') {
    const old = answers.list[path]
    const names = old === undefined || 'error' in old || whole ? [] : old
    answers.list[path] = [...names, damage.with]
  } else {
    const old = answers[damage.part][path]
    const text = typeof old === 'string' && !whole ? old : ''
    answers[damage.part][path] = text + damage.with
  }
}

describe('every command', () => {
  it('answers whatever a kernel or a capture says, and never fails or hangs', () => {
    fc.assert(
      fc.property(fc.array(DAMAGE, { minLength: 1, maxLength: 6 }), (damages) => {
        const answers = damaged(damages)
        // Without its list of functions there is no host: that is refused, and tested elsewhere.
        answers.list['/sys/bus/pci/devices'] = recording.list['/sys/bus/pci/devices'] ?? []
        expect(everyCommand(linuxHost(recordedKernel(answers), 'x'))).not.toBe('')
      }),
      { numRuns: RUNS },
    )
  })

  it('ends where a link says that a bridge hangs below itself', () => {
    const answers = structuredClone(recording)
    for (const path of Object.keys(answers.link)) {
      if (!path.startsWith('/sys/bus/pci/devices/') || path.split('/').length > 6) continue
      const address = path.slice(path.lastIndexOf('/') + 1)
      answers.link[path] = `../../../devices/pci0000:00/${address}/${address}`
    }
    expect(everyCommand(linuxHost(recordedKernel(answers), 'x'))).not.toBe('')
  })
})
