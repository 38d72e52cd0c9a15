/** docs/reference/access.md: its script runs, all that is exported is named, and the examples do their work on the model. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const PAGE = readFileSync(join(ROOT, 'docs/reference/access.md'), 'utf8')
const MODEL = ['--host', 'model:user-drivers']

describe('programs that use devices', () => {
  let folder = ''
  const run = (name: string, args: readonly string[]): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [join(folder, name), ...args], { encoding: 'utf8' })

  beforeAll(async () => {
    mkdirSync(join(ROOT, '.build'), { recursive: true })
    folder = mkdtempSync(join(ROOT, '.build/examples-'))
    const common: BuildOptions = {
      ...{ absWorkingDir: ROOT, bundle: true, external: ['koffi'], logLevel: 'silent' },
      ...{ format: 'esm', platform: 'node', target: 'node20.19' },
      alias: { 'isogroup/access': join(ROOT, 'src/open/access.ts') },
      outExtension: { '.js': '.mjs' },
    }
    const entryPoints = ['examples/edu.ts', 'examples/nvme.ts']
    await build({ ...common, entryPoints, outdir: folder })
    const contents = /```ts\n([\s\S]*?)```/.exec(PAGE)?.[1] ?? ''
    const stdin = { contents, resolveDir: ROOT, loader: 'ts', sourcefile: 'page.ts' } as const
    await build({ ...common, stdin, outfile: join(folder, 'page.mjs') })
  })

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it('runs what the page shows', () => {
    expect(run('page.mjs', [])).toMatchObject({ status: 0, stderr: '', stdout: 'interrupts: 1\n' })
  })

  it('edu computes, moves bytes both ways and takes its interrupts', () => {
    const { status, stdout } = run('edu.mjs', ['01:00.0', '--bytes', '10000', ...MODEL])
    expect(status).toBe(0)
    expect(stdout).toContain('12! = 479001600, interrupt 0x1\n')
    expect(stdout).toContain('10000 bytes to the device and back by DMA: the same\n')
  })

  it('nvme writes and reads back through several queues', () => {
    const { status, stdout } = run('nvme.mjs', ['03:00.0', '--commands', '200', ...MODEL])
    expect(status).toBe(0)
    expect(stdout).toContain('100 pages written and 100 read through 4 queues: all the same\n')
  })

  it.each([
    [['09:00.0'], 1, 'there is no device 0000:09:00.0'],
    [[], 2, '0 addresses of devices were given'],
    [['01:00.0', '--bytes', 'x'], 2, '--bytes x is no whole number'],
    [['01:00.0', '--bogus'], 2, "Unknown option '--bogus'\nhint: ADDRESS [--host SOURCE]"],
  ])('edu %j ends with %d and says why', (args, status, words) => {
    const result = run('edu.mjs', [...args, ...MODEL])
    expect(result.status).toBe(status)
    expect(result.stderr).toContain(words)
  })

  it('says with --help how it is called', () => {
    const { status, stdout } = run('nvme.mjs', ['--help'])
    expect(status).toBe(0)
    expect(stdout).toContain('ADDRESS [--host SOURCE] [--commands N]')
  })

  it('names all that is exported', () => {
    const source = readFileSync(join(ROOT, 'src/open/access.ts'), 'utf8')
    const names = [...source.matchAll(/export (?:type )?\{([^}]*)\}/g)]
      .flatMap(([, list = '']) => list.split(','))
      .map((name) => name.replace('type ', '').trim())
      .filter((name) => name !== '')
    expect(names.length).toBeGreaterThan(20)
    for (const name of names) expect(PAGE).toMatch(new RegExp(`\\b${name}\\b`))
  })
})
