/**
 * Habits that no other tool checks: headers that teach, calls that belong to the rim, names of files,
 * links in documents, and that nothing in the project names the machine it was written on.
 *
 * The text of every file is looked at as text. A rule says what to do instead.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = dirname(import.meta.dirname)

/** Folders that are not ours or not source. */
const SKIPPED = new Set(['.git', '.build', '.lab-cache', 'coverage', 'dist', 'node_modules'])

/** Folders of src/ that may touch the world: the clock, the process, the file system. */
const RIM = /^src\/(kernel\/native|open|cli|service)\//

const TEST = /\.(test|case)\.ts$/

interface Ban {
  readonly pattern: RegExp
  readonly where: (path: string) => boolean
  readonly instead: string
}

const inSource = (path: string): boolean => path.startsWith('src/')
const inPureSource = (path: string): boolean =>
  inSource(path) && !RIM.test(path) && !TEST.test(path)

const BANS: readonly Ban[] = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    where: (path) => inSource(path) && !RIM.test(path),
    instead: 'take the time as an argument',
  },
  {
    pattern: /\bMath\.random\(|\brandomUUID\(/,
    where: () => true,
    instead: 'use a seeded generator, so that a failure can be repeated',
  },
  {
    // Node's; the model has processes of its own.
    pattern:
      /(?<![\w./'])process\.(?:arch|argv|cwd|emit|env|exit|hrtime|memoryUsage|nextTick|on|pid|platform|stderr|stdin|stdout|uptime|version)\b/,
    where: inPureSource,
    instead: 'pass what is needed as an argument',
  },
  {
    pattern: /\bas any\b|@ts-ignore|@ts-nocheck/,
    where: () => true,
    instead: 'narrow the value, or give it its type where it comes in',
  },
  {
    pattern: /\bas unknown as\b/,
    where: (path) => !TEST.test(path),
    instead: 'narrow the value, or give it its type where it comes in',
  },
  {
    pattern: /\b(TODO|FIXME|XXX)\b(?!.*#\d+)/,
    where: () => true,
    instead: 'do it, or name the issue: "TODO #12"',
  },
  {
    pattern: /eslint-disable(?!.* -- \S)/,
    where: () => true,
    instead: 'give the reason after " -- "',
  },
  { pattern: /\bdebugger\b|\.only\(/, where: () => true, instead: 'remove it' },
]

/** Names that say nothing about what is inside. */
const EMPTY_NAMES = /^(common|constants|helpers?|manager|misc|types|utils?|utilities)\./

/** Absolute paths of a person's or a workplace's machine; a guest's /home/user is the lab's own. */
const PRIVATE_PATH = /(?<![\w.~-])\/(?:work|Users)\/\w|(?<![\w.~-])\/home\/(?!user\b)\w/

const files = listFiles(ROOT).map((path) => relative(ROOT, path))
const code = files.filter((path) => /^(src|lab|bench|tools)\/.*\.(ts|mjs)$/.test(path))
const documents = files.filter((path) => path.endsWith('.md'))
const thisFile = relative(ROOT, import.meta.filename)

describe('the project', () => {
  it('has code and documents to look at', () => {
    expect(code.length).toBeGreaterThan(30)
    expect(documents.length).toBeGreaterThan(3)
  })

  it('starts every module with a comment that says what it is', () => {
    const modules = code.filter((path) => !path.endsWith('.test.ts'))
    expect(modules.filter((path) => !startsWithComment(read(path)))).toEqual([])
  })

  it.each(BANS)('uses $pattern nowhere it does not belong: $instead', (ban) => {
    const places = code.filter((path) => path !== thisFile && ban.where(path))
    expect(places.flatMap((path) => findLines(path, ban.pattern))).toEqual([])
  })

  it('names files in kebab-case after what is in them', () => {
    const odd = code.filter((path) => {
      const name = basename(path)
      return (
        !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|case))?\.(ts|mjs)$/.test(name) || EMPTY_NAMES.test(name)
      )
    })
    expect(odd).toEqual([])
  })

  it('names no path of the machine it was written on', () => {
    // A clone in "/app" says nothing; one deep in somebody's folders would.
    const patterns = ROOT.split('/').length > 3 ? [PRIVATE_PATH, literally(ROOT)] : [PRIVATE_PATH]
    const places = files.filter((path) => path !== thisFile && isText(path))
    const found = places.flatMap((path) => patterns.flatMap((one) => findLines(path, one)))
    expect(found).toEqual([])
  })

  it('keeps every relative link in its documents alive', () => {
    expect(documents.flatMap(findDeadLinks)).toEqual([])
  })

  it('pins every dependency to one version', () => {
    const manifest = JSON.parse(read('package.json')) as Record<
      'dependencies' | 'devDependencies',
      Record<string, string> | undefined
    >
    const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  })
})

describe('the rules above', () => {
  const match = (text: string): number => BANS.filter((ban) => ban.pattern.test(text)).length

  it('catch what they name and leave other text alone', () => {
    expect(match('const t = Date.now()')).toBe(1)
    expect(match('// TODO later')).toBe(1)
    expect(match('// TODO #12: later')).toBe(0)
    expect(match('// eslint-disable-next-line no-console')).toBe(1)
    expect(match('// eslint-disable-next-line no-console -- the program prints here')).toBe(0)
    expect(match('value as Record<string, unknown>')).toBe(0)
  })

  it('know a private path from a public one', () => {
    expect(PRIVATE_PATH.test("join('/home/alice/src')")).toBe(true)
    expect(PRIVATE_PATH.test('see /Users/bob/x')).toBe(true)
    expect(PRIVATE_PATH.test('mkdir -p /home/user')).toBe(false)
    expect(PRIVATE_PATH.test('https://example.org/home/alice')).toBe(false)
  })

  it('know a header from code', () => {
    expect(startsWithComment('#!/usr/bin/env node\n/** Runs. */\n')).toBe(true)
    expect(startsWithComment('import a from "a"\n')).toBe(false)
  })
})

function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : listFiles(path)
    return entry.isFile() ? [path] : []
  })
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

function isText(path: string): boolean {
  return !readFileSync(join(ROOT, path)).includes(0)
}

function startsWithComment(text: string): boolean {
  return /^(#!.*\n)?(\/\*\*|\/\/ )/.test(text)
}

/** "path:line: text" of every line that matches. */
function findLines(path: string, pattern: RegExp): string[] {
  return read(path)
    .split('\n')
    .flatMap((line, n) => (pattern.test(line) ? [`${path}:${n + 1}: ${line.trim()}`] : []))
}

function literally(text: string): RegExp {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') + '\\b')
}

function findDeadLinks(path: string): string[] {
  return [...read(path).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => !existsSync(join(ROOT, dirname(path), target)))
    .map((target) => `${path} -> ${target}`)
}
