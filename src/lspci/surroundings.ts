/**
 * Facts that stand around the listing in a pasted text: kernel release, command line, and the
 * groups that the kernel logged while it booted.
 *
 *     [    0.000000] Linux version 6.1.0-18-amd64 (...)
 *     [    0.000000] Command line: BOOT_IMAGE=... intel_iommu=on
 *     [    0.412345] pci 0000:01:00.0: Adding to iommu group 9
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import { parseAddress } from '../pci/address.ts'
import { isForeign } from './line-kinds.ts'
import type { CleanText, TextLine } from './text-lines.ts'

export interface LoggedDevice {
  readonly name: string
  /** "pci", "platform": the word in front of the name; a bound device has its driver's name there. */
  readonly word: string
  readonly group: string
}

export interface Surroundings {
  readonly kernelRelease: Fact<string>
  readonly commandLine: Fact<string>
  /** Devices by name as the kernel log puts them into groups; of several boots the last. */
  readonly logged: ReadonlyMap<string, LoggedDevice>
}

export function readSurroundings(text: CleanText): Surroundings {
  const releases = new Set<string>()
  const commandLines = new Set<string>()
  let logged = new Map<string, LoggedDevice>()
  text.lines.forEach((line, i) => {
    const release = releaseIn(line.text, text.lines[i - 1]?.text ?? '')
    if (release !== null) releases.add(release)
    const command = commandLineAt(text, i)
    if (command !== null && command !== '') commandLines.add(command)
    if (line.text.includes('Linux version ')) logged = new Map()
    logGroup(line.text, logged)
  })
  return {
    kernelRelease: only(releases, 'kernel release'),
    commandLine: only(commandLines, 'kernel command line'),
    logged,
  }
}

function only(values: ReadonlySet<string>, what: string): Fact<string> {
  const [first, second] = [...values]
  if (first === undefined) return unknown(`the text does not tell the ${what}`)
  if (second === undefined) return known(first)
  return unknown(`the text tells more than one ${what}: "${first}" and "${second}"`)
}

const RELEASE = '(\\d{1,2}\\.\\d{1,3}(?:[.-][\\w.+~-]{1,60})?)'
const RELEASE_LINES = [
  new RegExp(`\\bLinux version ${RELEASE} `),
  // uname -a
  new RegExp(`^Linux [\\w.-]{1,64} ${RELEASE} #\\d`),
  new RegExp(`^Kernel(?: release)?: (?:Linux )?(\\d{1,2}\\.\\d{1,3}\\.[\\w.+~-]{1,60})`),
]
const BARE_RELEASE = /^\d{1,2}\.\d{1,3}\.[\w.+~-]{1,60}$/

function releaseIn(line: string, before: string): string | null {
  for (const pattern of RELEASE_LINES) {
    const release = pattern.exec(line)?.[1]
    if (release !== undefined) return release
  }
  if (/\buname -\w{0,8}r$/.test(before) && BARE_RELEASE.test(line)) return line
  return null
}

/** The kernel prints it twice, in one line; a mail program may have wrapped that. */
function commandLineAt(text: CleanText, at: number): string | null {
  const line = text.lines[at]
  if (line === undefined) return null
  const match = /\b(?:[Kk]ernel command|Command) line: (.{0,2000})$/.exec(line.text)
  let command = match?.[1]
  if (match === null && /^BOOT_IMAGE=/.test(line.text)) command = line.text
  if (command === undefined) return null
  let width = line.width
  for (let next = at + 1; next < at + 12; next += 1) {
    const more: TextLine | undefined = text.lines[next]
    if (more === undefined || !continuesWrapped(width, more)) break
    command += ` ${more.text}`
    width = more.width
  }
  return command.trim()
}

function continuesWrapped(width: number, line: TextLine): boolean {
  if (line.text === '' || isForeign(line.text)) return false
  const word = line.text.split(' ', 1)[0] ?? ''
  return width >= 50 && width + 1 + word.length > 64 && /^[\w.]+(?:=|$)/.test(word)
}

/** "Adding to iommu group 9" since 5.3, before that "iommu: Adding device 0000:00:00.0 to group 0". */
function logGroup(line: string, logged: Map<string, LoggedDevice>): void {
  if (!line.includes('group')) return
  const now = /(?:^|[\s\]])([\w-]{1,40}) (\S{1,60}): Adding to iommu group (\d{1,6})$/.exec(line)
  if (now !== null) return add(logged, now[1] ?? '', now[2] ?? '', now[3] ?? '')
  const old = /\biommu: Adding device (\S{1,60}) to group (\d{1,6})$/i.exec(line)
  if (old !== null) return add(logged, '', old[1] ?? '', old[2] ?? '')
  const gone =
    /\s(\S{1,60}): Removing from iommu group \d{1,6}$/.exec(line) ??
    /\biommu: Removing device (\S{1,60}) from group \d{1,6}$/i.exec(line)
  if (gone !== null) logged.delete(gone[1] ?? '')
}

function add(logged: Map<string, LoggedDevice>, word: string, name: string, id: string): void {
  logged.set(name, { name, word: parseAddress(name) === null ? word : 'pci', group: id })
}
