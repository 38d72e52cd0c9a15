/**
 * Builds what is run and what is published:
 *
 *     dist/cli/main.js + chunks   the program: one split ES module bundle, dependencies included
 *     dist/lib/                   the library: one module and one .d.ts per source file
 *
 * Each half is built only when its inputs changed: a digest of all of them is kept in .build/.
 * `node tools/build.mjs [cli|lib]` builds one half; without an argument both.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isMain, root, run, runTool, say, ToolError } from './project.mjs'
import { setUp } from './setup.mjs'

const CLI_FOLDER = join(root, 'dist', 'cli')
const LIB_FOLDER = join(root, 'dist', 'lib')
const PROGRAM = join(CLI_FOLDER, 'main.js')

/** Files whose content decides what is built, beside src/. */
const COMMON_INPUTS = ['package.json', 'package-lock.json', 'tools/build.mjs']

const SHEBANG = '#!/usr/bin/env node\n'

/** commander is CommonJS and calls require() for Node's own modules, which ESM lacks. */
const REQUIRE_SHIM = 'const require = process.getBuiltinModule;\n'

/**
 * commander starts subcommands that are programs of their own with node:child_process, which we never
 * do: loading it, with all of node:net, would cost each start of the program several milliseconds.
 */
const WITHOUT_CHILD_PROCESS = {
  name: 'commander-without-child-process',
  setup(build) {
    build.onLoad({ filter: /\/commander\/lib\/command\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      const line = "const childProcess = require('node:child_process');"
      if (!text.includes(line))
        throw new ToolError(`commander has changed: no "${line}" in ${path}`)
      return { contents: text.replace(line, ''), loader: 'js' }
    })
  },
}

/** Builds the program unless it is up to date. */
export async function buildCli() {
  await whenChanged('cli', [], PROGRAM, bundleProgram)
}

/** Builds the library unless it is up to date. */
export async function buildLibrary() {
  const configuration = ['tsconfig.json', 'tsconfig.build.json']
  await whenChanged('lib', configuration, LIB_FOLDER, async () => {
    rmSync(LIB_FOLDER, { recursive: true, force: true })
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const project = ['-p', 'tsconfig.build.json', '--pretty', 'false']
    const { code, output } = await run(process.execPath, [compiler, ...project])
    if (code !== 0)
      throw new ToolError(`${output.trim()}\nCannot build the library: types are wrong`)
  })
}

async function bundleProgram() {
  const { build } = await import('esbuild')
  const result = await build({
    absWorkingDir: root,
    entryPoints: ['src/cli/main.ts'],
    outdir: 'dist/cli',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // Brings a binary of its own, found beside its package.
    external: ['koffi'],
    chunkNames: 'chunk-[hash]',
    legalComments: 'none',
    plugins: [WITHOUT_CHILD_PROCESS],
    logLevel: 'silent',
    write: false,
  }).catch((failure) => {
    throw new ToolError(`Cannot build the program: ${failure.message}`)
  })
  writeBundle(result.outputFiles)
}

/** New files first, old ones removed after: a program that runs meanwhile finds all it needs. */
function writeBundle(files) {
  mkdirSync(CLI_FOLDER, { recursive: true })
  for (const file of files) {
    const isProgram = file.path === PROGRAM
    const code = file.text.replace(/^#!.*\n/, '')
    const shim = code.includes('typeof require') ? REQUIRE_SHIM : ''
    writeFileSync(file.path, (isProgram ? SHEBANG : '') + shim + code)
    if (isProgram) chmodSync(file.path, 0o755)
  }
  const written = new Set(files.map((file) => basename(file.path)))
  for (const name of readdirSync(CLI_FOLDER)) {
    if (!written.has(name)) rmSync(join(CLI_FOLDER, name), { recursive: true })
  }
}

async function whenChanged(name, extraInputs, product, build) {
  const stamp = join(root, '.build', `${name}.digest`)
  const digest = digestOf([...COMMON_INPUTS, ...extraInputs, ...sourceFiles()])
  if (existsSync(product) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return
  rmSync(stamp, { force: true })
  say(`build: ${name}`)
  await build()
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, digest)
}

function sourceFiles() {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(test|case)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}

function digestOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths) {
    const content = readFileSync(join(root, path))
    hash.update(`${path}\0${String(content.length)}\0`).update(content)
  }
  return hash.digest('hex')
}

async function main() {
  const [half = 'all', ...rest] = process.argv.slice(2)
  if (!['all', 'cli', 'lib'].includes(half) || rest.length > 0) {
    throw new ToolError(
      `Cannot build "${process.argv.slice(2).join(' ')}": say cli, lib or nothing`,
    )
  }
  await setUp()
  if (half !== 'lib') await buildCli()
  if (half !== 'cli') await buildLibrary()
}

if (isMain(import.meta.url)) await runTool(main)
