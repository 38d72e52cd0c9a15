/**
 * Enforces the layer rules (.dependency-cruiser.mjs): `node tools/layers.mjs [FOLDER]`, where FOLDER
 * holds src/ and is the project itself unless said.
 *
 * dependency-cruiser exits with success when it found nothing to look at, which has happened with a
 * wrong TypeScript version. So a count below a floor is a failure here.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import configuration, { LAYERS, STAGES } from '../.dependency-cruiser.mjs'
import { isMain, root, runTool, ToolError } from './project.mjs'

/** Fewer modules of src/ than this cannot be the project. */
const FEWEST_MODULES = 10

/** Folders that are looked at, as far as they exist. */
const FOLDERS = ['src', 'lab', 'bench', 'explore', 'tools']

/** @returns {Promise<{ modules: number, violations: string[] }>} */
async function findViolations(folder) {
  const { cruise } = await import('dependency-cruiser')
  const folders = FOLDERS.filter((name) => existsSync(join(folder, name)))
  const options = {
    ...configuration.options,
    baseDir: folder,
    validate: true,
    ruleSet: { forbidden: configuration.forbidden },
  }
  const { output } = await cruise(folders, options)
  const modules = output.modules.map((module) => module.source).filter((path) => isSource(path))
  return {
    modules: modules.length,
    violations: [...modules.flatMap(findUnlisted), ...output.summary.violations.map(describe)],
  }
}

function isSource(path) {
  return /^src\/.*\.ts$/.test(path)
}

/** A folder that is missing in the tables would be subject to no rule at all. */
function findUnlisted(path) {
  const [, layer, stage, deeper] = path.split('/')
  if (!Object.hasOwn(LAYERS, layer)) return [`unlisted-layer: ${path} is in no layer of the table`]
  if (layer !== 'isolation' || deeper === undefined || STAGES.includes(stage)) return []
  return [`unlisted-stage: ${path} is in no stage of isolation`]
}

function describe(violation) {
  const rule = configuration.forbidden.find((one) => one.name === violation.rule.name)
  const circle = (violation.cycle ?? []).map((step) => step.name ?? step).join(' -> ')
  const target = circle === '' ? violation.to : circle
  return `${violation.rule.name}: ${violation.from} -> ${target} (${rule.comment})`
}

async function main() {
  const folder = resolve(process.argv[2] ?? root)
  const { modules, violations } = await findViolations(folder)
  if (violations.length > 0) throw new ToolError(violations.join('\n'))
  if (modules < FEWEST_MODULES) {
    throw new ToolError(
      `Only ${String(modules)} modules were seen below ${join(folder, 'src')}, ` +
        `at least ${String(FEWEST_MODULES)} are expected: the check itself does not work`,
    )
  }
  process.stdout.write(`${String(modules)} modules keep to the layers\n`)
}

if (isMain(import.meta.url)) await runTool(main)
