/**
 * Builds what is run and what is published:
 *
 *     dist/cli/main.js + program  one script with all dependencies, what V8 compiled of it, and its launcher
 *     dist/lib/                   the library: one module and one .d.ts per source file
 *     dist/examples/              drivers to try and to learn from, each a module with all it needs
 *
 * Each part is built only when its inputs changed: a digest of all of them is kept in .build/.
 * `node tools/build.mjs [cli|lib|examples]` builds one part; without an argument all.
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
const EXAMPLES_FOLDER = join(root, 'dist', 'examples')
/** Programs among the files of examples/. */
const EXAMPLES = ['edu', 'nvme']

/** Files whose content decides what is built, beside src/. */
const COMMON_INPUTS = [
  'package.json',
  'package-lock.json',
  'tools/build.mjs',
  'tools/launcher.cjs',
  'tools/compile.cjs',
]

const SHEBANG = '#!/usr/bin/env node\n'
const LAUNCHER = join(root, 'tools', 'launcher.cjs')
const COMPILER = join(root, 'tools', 'compile.cjs')

/** Scripts know their own name; places are relative to it as in an ES module. */
const OWN_URL = "const ownUrl = require('node:url').pathToFileURL(__filename).href;"

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

/** Builds the examples unless they are up to date. */
export async function buildExamples() {
  const inputs = readdirSync(join(root, 'examples'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('examples', name))
  const product = join(EXAMPLES_FOLDER, `${EXAMPLES[0]}.js`)
  await whenChanged('examples', ['tsconfig.json', ...inputs], product, async () => {
    const { build } = await import('esbuild')
    rmSync(EXAMPLES_FOLDER, { recursive: true, force: true })
    await build({
      absWorkingDir: root,
      entryPoints: EXAMPLES.map((name) => `examples/${name}.ts`),
      outdir: EXAMPLES_FOLDER,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      external: ['koffi'],
      legalComments: 'none',
      logLevel: 'silent',
    }).catch((failure) => {
      throw new ToolError(`Cannot build the examples: ${failure.message}`)
    })
  })
}

async function bundleProgram() {
  const { build } = await import('esbuild')
  const result = await build({
    absWorkingDir: root,
    entryPoints: ['src/cli/main.ts'],
    outfile: PROGRAM,
    bundle: true,
    format: 'cjs',
    // One script: what is imported when it is needed is not evaluated before.
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'ownUrl' },
    banner: { js: OWN_URL },
    platform: 'node',
    target: 'node20.19',
    // Brings a binary of its own, found beside its package.
    external: ['koffi'],
    legalComments: 'none',
    plugins: [WITHOUT_CHILD_PROCESS],
    logLevel: 'silent',
    write: false,
  }).catch((failure) => {
    throw new ToolError(`Cannot build the program: ${failure.message}`)
  })
  await writeProgram(result.outputFiles[0].text.replace(/^#!.*\n/, ''))
}

/** New files first, old ones removed after: a program that runs meanwhile finds all it needs. */
async function writeProgram(code) {
  mkdirSync(CLI_FOLDER, { recursive: true })
  const name = `program-${createHash('sha256').update(code).digest('hex').slice(0, 12)}.cjs`
  writeFileSync(join(CLI_FOLDER, name), code)
  // The folder is one of scripts in a package of modules.
  writeFileSync(join(CLI_FOLDER, 'package.json'), '{ "type": "commonjs" }\n')
  const launcher = readFileSync(LAUNCHER, 'utf8').replaceAll("'PROGRAM'", `'${name}'`)
  writeFileSync(PROGRAM, SHEBANG + launcher)
  chmodSync(PROGRAM, 0o755)
  const { code: exit, output } = await run(process.execPath, [COMPILER, PROGRAM, name])
  if (exit !== 0) throw new ToolError(`${output.trim()}\nCannot compile the program`)
  const written = new Set([basename(PROGRAM), 'package.json', name, `${name}.v8`])
  for (const old of readdirSync(CLI_FOLDER)) {
    if (!written.has(old)) rmSync(join(CLI_FOLDER, old), { recursive: true })
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

const PARTS = { cli: buildCli, lib: buildLibrary, examples: buildExamples }

async function main() {
  const [part = 'all', ...rest] = process.argv.slice(2)
  if (!(part === 'all' || Object.hasOwn(PARTS, part)) || rest.length > 0) {
    throw new ToolError(
      `Cannot build "${process.argv.slice(2).join(' ')}": say cli, lib, examples or nothing`,
    )
  }
  await setUp()
  for (const [name, build] of Object.entries(PARTS)) {
    if (part === 'all' || part === name) await build()
  }
}

if (isMain(import.meta.url)) await runTool(main)
