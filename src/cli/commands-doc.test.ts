/**
 * docs/reference/commands.md against the program: every command is there, and every example is what
 * the command prints. To bring the examples up to date: npx vitest run src/cli/commands-doc.test.ts -u
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openHost } from '../open/open-host.ts'
import { COMMANDS } from './command-table.ts'
import { run } from './host.case.ts'

const PATH = join(import.meta.dirname, '../../docs/reference/commands.md')
const EXAMPLE = /^```console\n\$ isogroup (.*)\n[^]*?^```$/gm

describe('commands.md', () => {
  const text = readFileSync(PATH, 'utf8')

  it('has a section for every command, and none for anything else', () => {
    const sections = [...text.matchAll(/^## ([\w-]+)/gm)].map((match) => match[1])
    const names = COMMANDS.filter(({ hidden }) => !hidden).map(({ name }) => name)
    expect(sections).toEqual(names)
  })

  it('names every option of every command', () => {
    for (const { options } of COMMANDS) {
      for (const [flags] of options) expect(text).toContain(flags)
    }
  })

  it('shows what the commands really print', async () => {
    const examples = [...text.matchAll(EXAMPLE)]
    expect(examples.length).toBeGreaterThan(4)
    let fresh = text
    for (const [block, line = ''] of examples) {
      fresh = fresh.replace(block, () => '\0')
      fresh = fresh.replace(
        '\0',
        `\`\`\`console\n$ isogroup ${line}\n${await printed(line)}\n\`\`\``,
      )
    }
    await expect(fresh).toMatchFileSnapshot(PATH)
  })
})

/** Standard output on a terminal of 80 columns, through `head` or `tail` where the example says so. */
async function printed(line: string): Promise<string> {
  const [command = '', filter] = line.split(' | ')
  const { exit, stdout } = await run([...command.split(' '), '--color', 'never'], {
    open: openHost,
    columns: 80,
  })
  expect(exit).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  const cut = /^(head|tail) -(\d+)$/.exec(filter ?? '')
  if (cut === null) return lines.join('\n')
  const count = Number(cut[2])
  return (cut[1] === 'head' ? lines.slice(0, count) : lines.slice(-count)).join('\n')
}
