/**
 * The program as a process, bundled as it is published: start-up loads no more than it must, pipes and
 * exit codes behave. Everything that needs no process is tested in run.test.ts.
 */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join, relative } from 'node:path'
import { type Metafile, build } from 'esbuild'
import { beforeAll, describe, expect, it } from 'vitest'
import { COMMANDS } from './command-table.ts'

const ROOT = join(import.meta.dirname, '../..')
/** As deep below the root as dist/cli: paths to machines/ and package.json are the same. */
const FOLDER = join(ROOT, '.build', 'cli-test')
const PROGRAM = join(FOLDER, 'main.js')
const REQUIRE =
  "import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);"

let metafile: Metafile

beforeAll(async () => {
  const result = await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/cli/main.ts'],
    outdir: relative(ROOT, FOLDER),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    banner: { js: REQUIRE },
    metafile: true,
    logLevel: 'silent',
  })
  metafile = result.metafile
})

/** Source files that are loaded when nothing but main.js is imported. */
function loadedAtStart(): readonly string[] {
  const inputs = new Set<string>()
  const seen = new Set<string>()
  const queue = [relative(ROOT, PROGRAM)]
  for (const path of queue) {
    if (seen.has(path)) continue
    seen.add(path)
    const output = metafile.outputs[path]
    for (const name of Object.keys(output?.inputs ?? {})) inputs.add(name)
    for (const { path: next, kind } of output?.imports ?? []) {
      if (kind === 'import-statement' && metafile.outputs[next] !== undefined) queue.push(next)
    }
  }
  return [...inputs]
}

function program(argv: readonly string[], input = ''): ReturnType<typeof spawnSync> {
  return spawnSync(process.execPath, [PROGRAM, ...argv], { input, encoding: 'utf8' })
}

describe('the program', () => {
  it('loads no parser, no command, no host and no schema before it knows what is asked', () => {
    const loaded = loadedAtStart()
    expect(loaded).toContain('src/cli/main.ts')
    const needed = /^src\/((base|cli)\/[\w-]+|open\/system-clock)\.ts$/
    expect(loaded.filter((name) => !needed.test(name))).toEqual([])
  })

  it('loads schemas in no command at all', () => {
    const all = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs))
    expect(all.filter((name) => /schemas\/|valibot/.test(name))).toEqual([])
    for (const { name } of COMMANDS) expect(all).toContain(`src/cli/commands/${name}.ts`)
  })

  it('prints the version of package.json', () => {
    const { status, stdout } = program(['--version'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('exits with the code of the failure', () => {
    expect(program(['frobnicate']).status).toBe(2)
    expect(program(['--host', 'model:hp-spectre-15-df1', 'show', '99:00.0']).status).toBe(4)
  })

  it('names a full disk as what it is', () => {
    const full = openSync('/dev/full', 'w')
    const { status, stderr } = spawnSync(process.execPath, [PROGRAM, '--help'], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    })
    closeSync(full)
    expect(status).toBe(1)
    expect(stderr).toMatch(/^isogroup: cannot write the output: ENOSPC\n/)
  })

  it('reads text from standard input', () => {
    const text = '00:02.0 VGA compatible controller [0300]: Intel Device [8086:5917]\n'
    const { status, stdout } = program(['--host', 'lspci:-', 'predict', '--json'], text)
    expect(status).toBe(0)
    expect(JSON.parse(String(stdout))).toMatchObject({ groups: [{ devices: ['0000:00:02.0'] }] })
  })

  it('ends quietly with 0 when its reader goes away', async () => {
    const child = spawn(
      process.execPath,
      [PROGRAM, '--host', 'model:lambda-wrx80-4090', 'predict', '--json'],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    // Closed before the program can write: the first write meets a pipe without a reader.
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
    const [code] = await new Promise<[number | null]>((done) => {
      child.on('close', (status) => {
        done([status])
      })
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('writes everything into a pipe that is read slowly', async () => {
    const argv = ['--host', 'model:lambda-wrx80-4090', 'ls', '--json']
    const child = spawn(process.execPath, [PROGRAM, ...argv], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const parts: Buffer[] = []
    for await (const part of child.stdout) {
      parts.push(part as Buffer)
      await new Promise((done) => setTimeout(done, 5))
    }
    expect(JSON.parse(Buffer.concat(parts).toString())).toMatchObject({ kind: 'GroupList' })
  })
})
