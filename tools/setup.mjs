/**
 * Installs the dependencies when they are missing or are not those of package-lock.json.
 *
 * npm keeps a record of what it installed in node_modules/.package-lock.json. Comparing that record
 * with package-lock.json, package by package, is exact where file times are not: a fresh checkout or
 * a touched file does not cause an installation, a changed version does.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, root, runNpm, runTool, say, ToolError } from './project.mjs'

const OLDEST_NODE = [20, 19]

/** Makes node_modules what package-lock.json says; silent when it already is. */
export async function setUp() {
  checkNode(process.versions.node)
  const reason = outOfDate(root)
  if (reason === null) return
  say(`set-up: npm ci (${reason})`)
  const { code, output } = await runNpm([
    'ci',
    '--include=dev',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ])
  if (code !== 0) throw new ToolError(describeFailure(output))
}

function checkNode(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor, wantedMinor] = OLDEST_NODE
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return
  throw new ToolError(
    `Node ${version} is too old: isogroup needs ${OLDEST_NODE.join('.')} or newer. ` +
      'Install a newer Node.js and run the command again',
  )
}

/** Why node_modules of a folder must be installed again; null when it is what the lock file says. */
export function outOfDate(folder) {
  const wanted = readPackages(join(folder, 'package-lock.json'))
  if (wanted === null) throw new ToolError(`Cannot read ${join(folder, 'package-lock.json')}`)
  const installed = readPackages(join(folder, 'node_modules', '.package-lock.json'))
  if (installed === null) return 'nothing is installed'
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const found = installed[path]
    // Optional packages are for other systems: npm leaves them out without a word.
    if (found === undefined && entry.optional === true) continue
    if (found === undefined) return `${path} is missing`
    if (found.version !== entry.version) return `${path} is ${found.version}`
  }
  return null
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages ?? null
  } catch {
    return null
  }
}

function describeFailure(output) {
  const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED/
  const reason = offline.test(output)
    ? 'the npm registry cannot be reached. Connect this machine to the network, ' +
      'or copy node_modules from a clone where npm ci was run'
    : 'npm ci failed. Its last words are above'
  const tail = output.trim().split('\n').slice(-12).join('\n')
  return `${tail}\nCannot install the dependencies as ${reason}`
}

if (isMain(import.meta.url)) await runTool(setUp)
