/**
 * Is what would be published usable? Packs the tarball, installs it into an empty folder without
 * running any script, and uses it as its users would: the program from node_modules/.bin, the library by
 * its name. What `npm ci` has fetched is enough but for the registry's word on koffi, which a lock file
 * spares it: on a machine that never asked, this asks the registry.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, run, runNpm, runTool, isMain, ToolError } from './project.mjs'

/** Only these may be in the package; a test or a capture of somebody's machine may not. */
const EXPECTED =
  /^(dist|machines|docs\/reference)\/|^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/
const UNWANTED = /\.(test|case)\.|\.tgz$/

/** @returns {Promise<string | null>} what is wrong, or null */
export async function checkPackage() {
  const folder = mkdtempSync(join(tmpdir(), 'isogroup-package-'))
  try {
    const tarball = await pack(folder)
    await install(folder, tarball)
    await use(folder)
    return null
  } catch (error) {
    if (error instanceof ToolError) return error.message
    throw error
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function pack(folder) {
  const listing = await must('npm pack', () =>
    runNpm([
      'pack',
      '--json',
      '--ignore-scripts',
      '--loglevel=error',
      '--pack-destination',
      folder,
    ]),
  )
  const [packed] = JSON.parse(listing.slice(listing.indexOf('[')))
  const paths = packed.files.map((file) => file.path)
  const strange = paths.filter((path) => !EXPECTED.test(path) || UNWANTED.test(path))
  if (strange.length > 0) throw new ToolError(`the package holds ${strange.join(', ')}`)
  for (const path of namedFiles()) {
    if (!paths.includes(path))
      throw new ToolError(`the package lacks ${path}, named in package.json`)
  }
  return join(folder, packed.filename)
}

/** Files that package.json promises: programs, entry points, their types. */
function namedFiles() {
  const { bin, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const entries = Object.values(exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : Object.values(entry),
  )
  return [...Object.values(bin), ...entries].map((path) => path.replace(/^\.\//, ''))
}

async function install(folder, tarball) {
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  await must('npm install of the tarball', () =>
    runNpm(
      [
        'install',
        '--ignore-scripts',
        '--prefer-offline',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
        tarball,
      ],
      { cwd: folder },
    ),
  )
}

async function use(folder) {
  const program = join(folder, 'node_modules', '.bin', 'isogroup')
  const help = await must('isogroup --help', () => run(program, ['--help'], { cwd: folder }))
  if (!help.includes('explain')) throw new ToolError(`isogroup --help printed only: ${help}`)
  // On a host without groups this shows a built-in machine, so machines/ must be found too.
  await must('isogroup start', () => run(program, ['start'], { cwd: folder }))
  const library =
    "const found = Object.keys(await import('isogroup')); if (!found.length) throw found"
  await must("import('isogroup')", () =>
    run(process.execPath, ['--input-type=module', '--eval', library], { cwd: folder }),
  )
  const model =
    "const { openModel } = await import('isogroup/model'); const { kernel } = await openModel('desktop');" +
    " if (kernel.list('/sys/kernel/iommu_groups').length === 0) throw new Error('no groups')"
  await must("openModel('desktop')", () =>
    run(process.execPath, ['--input-type=module', '--eval', model], { cwd: folder }),
  )
}

async function must(what, action) {
  const { code, output } = await action()
  if (code !== 0) throw new ToolError(`${output.trim()}\n${what} ended with ${String(code)}`)
  return output
}

if (isMain(import.meta.url)) {
  await runTool(async () => {
    const trouble = await checkPackage()
    if (trouble !== null) throw new ToolError(trouble)
  })
}
