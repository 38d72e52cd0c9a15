/**
 * Every layer rule shown at work: a small project that breaks each of them once, and one that breaks
 * none. The check is run as `npm run layers` runs it.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** File name and what it imports. */
type Files = Readonly<Record<string, readonly string[]>>

const SOUND: Files = {
  'src/base/fact.ts': [],
  'src/pci/address.ts': ['../base/fact.ts'],
  'src/isolation/host.ts': ['../pci/address.ts', '../base/fact.ts'],
  'src/isolation/findings.ts': [],
  'src/isolation/topology/topology.ts': ['../host.ts', '../findings.ts'],
  'src/isolation/groups/predict.ts': ['../topology/topology.ts', '../host.ts'],
  'src/isolation/groups/predict.test.ts': ['./predict.ts', 'node:fs', '../../linux/reader.ts'],
  'src/isolation/assess/assess.ts': ['../groups/predict.ts'],
  'src/isolation/explain/explain.ts': ['../assess/assess.ts'],
  'src/kernel/kernel.ts': ['../base/fact.ts'],
  'src/kernel/native/native.ts': ['node:fs', '../kernel.ts'],
  'src/linux/reader.ts': ['../kernel/kernel.ts', '../isolation/host.ts'],
  'src/lspci/parse.ts': ['../isolation/host.ts'],
  'src/open/open-host.ts': ['node:fs', '../kernel/native/native.ts', '../linux/reader.ts'],
  'src/cli/main.ts': ['node:process', '../open/open-host.ts', '../isolation/explain/explain.ts'],
  'lab/main.ts': ['node:fs', '../src/base/fact.ts'],
}

const BREAKING: readonly (readonly [rule: string, file: string, target: string])[] = [
  ['layer-base', 'src/base/fact.ts', '../pci/address.ts'],
  ['layer-pci', 'src/pci/address.ts', '../isolation/host.ts'],
  ['layer-isolation', 'src/isolation/topology/topology.ts', '../../linux/reader.ts'],
  ['layer-kernel', 'src/kernel/kernel.ts', '../pci/address.ts'],
  ['layer-model', 'src/model/machine.ts', '../isolation/host.ts'],
  ['layer-linux', 'src/linux/reader.ts', '../lspci/parse.ts'],
  ['layer-lspci', 'src/lspci/parse.ts', '../kernel/kernel.ts'],
  ['layer-service', 'src/service/isolator.ts', '../linux/reader.ts'],
  ['layer-open', 'src/open/open-host.ts', '../cli/main.ts'],
  ['layer-cli', 'src/cli/main.ts', '../linux/reader.ts'],
  ['stage-topology', 'src/isolation/topology/topology.ts', '../groups/predict.ts'],
  ['stage-groups', 'src/isolation/groups/predict.ts', '../assess/assess.ts'],
  ['stage-assess', 'src/isolation/assess/assess.ts', '../explain/explain.ts'],
  ['stage-explain', 'src/isolation/explain/explain.ts', '../inspect.ts'],
  ['node-only-at-the-rim', 'src/linux/reader.ts', 'node:fs'],
  ['packages-only-at-the-rim', 'src/pci/address.ts', 'commander'],
  ['koffi-only-in-native', 'src/open/open-host.ts', 'koffi'],
  ['native-only-from-open', 'src/kernel/kernel.ts', './native/native.ts'],
  ['no-tests-in-production', 'src/cli/main.ts', '../isolation/groups/predict.test.ts'],
  ['src-stands-alone', 'src/base/fact.ts', '../../lab/main.ts'],
  ['front-doors-stay-in-front', 'lab/main.ts', '../src/cli/main.ts'],
  ['no-cycles', 'src/kernel/kernel.ts', './native/native.ts'],
  ['no-cycles-of-values', 'src/model/function.ts', './machine.ts'],
  ['no-unresolvable', 'src/base/fact.ts', './missing.ts'],
]

/** Files that BREAKING needs and that break nothing themselves where they are used soundly. */
const EXTRA: Files = {
  'src/model/machine.ts': ['./function.ts'],
  'src/model/function.ts': [],
  'src/service/isolator.ts': [],
  'src/isolation/inspect.ts': [],
  'src/utilities/text.ts': [],
  'src/stray.ts': [],
  'src/isolation/misc/other.ts': [],
  'node_modules/koffi/index.js': [],
  'node_modules/commander/index.js': [],
}

const folder = mkdtempSync(join(tmpdir(), 'isogroup-layers-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

describe('the layer check', () => {
  let sound: Outcome
  let broken: Outcome
  let small: Outcome
  let empty: Outcome
  beforeAll(() => {
    sound = check('sound', SOUND)
    broken = check('broken', withImports({ ...SOUND, ...EXTRA }, BREAKING))
    small = check('small', { 'src/base/fact.ts': [], 'src/pci/address.ts': ['../base/fact.ts'] })
    empty = check('empty', { 'src/readme.md': [] })
  })

  it('accepts a project that keeps to the layers, and says how much it saw', () => {
    expect(sound).toEqual({ code: 0, output: '15 modules keep to the layers\n' })
  })

  it.each(BREAKING)('%s: %s may not import %s', (rule, file) => {
    expect(broken.code).toBe(1)
    expect(broken.output.split('\n')).toContainEqual(
      expect.stringMatching(new RegExp(`^${rule}: ${file} -> `)),
    )
  })

  it('refuses a layer and a stage that no table mentions', () => {
    expect(broken.output).toContain('unlisted-layer: src/utilities/text.ts')
    expect(broken.output).toContain('unlisted-layer: src/stray.ts')
    expect(broken.output).toContain('unlisted-stage: src/isolation/misc/other.ts')
  })

  it('fails when it saw fewer modules than a project has, and when it saw none', () => {
    expect(small.code).toBe(1)
    expect(small.output).toContain('Only 2 modules were seen')
    expect(empty.code).toBe(1)
    expect(empty.output).toContain('Only 0 modules were seen')
  })
})

interface Outcome {
  readonly code: number | null
  readonly output: string
}

function check(name: string, files: Files): Outcome {
  const project = join(folder, name)
  for (const [path, imports] of Object.entries(files)) {
    mkdirSync(dirname(join(project, path)), { recursive: true })
    const lines = imports.map((target, n) => `import * as i${n} from '${target}'\n`)
    const uses = imports.map((_, n) => `i${n}`).join(', ')
    writeFileSync(join(project, path), `${lines.join('')}export const all = [${uses}]\n`)
  }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'layers.mjs'), project],
    { encoding: 'utf8' },
  )
  return { code: status, output: stdout + stderr }
}

function withImports(
  files: Files,
  added: readonly (readonly [rule: string, file: string, target: string])[],
): Files {
  const result = new Map(Object.entries(files))
  for (const [, file, target] of added) {
    result.set(file, [...new Set([...(result.get(file) ?? []), target])])
  }
  return Object.fromEntries(result)
}
