/**
 * Pages that show scripts: each script stands there as it is, with what it prints. A section is a link to
 * the script, its code, and its output.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, vi } from 'vitest'

/** @param folder as the page links to it: "../examples/seed" */
export function sectionOf(folder: string): RegExp {
  const path = folder.replaceAll('.', '\\.').replaceAll('/', '\\/')
  return new RegExp(
    `^\\[([\\w-]+\\.ts)\\]\\(${path}\\/\\1\\)\\n\\n\`\`\`ts\\n[^]*?^\`\`\`\\n\\n\`\`\`text\\n[^]*?^\`\`\`$`,
    'gm',
  )
}

/** The page with every section made anew. @param from folder of the scripts */
export async function freshPage(page: string, folder: string, from: string): Promise<string> {
  const fresh = new Map<string, string>()
  for (const [, name = ''] of page.matchAll(sectionOf(folder))) {
    const code = readFileSync(join(from, name), 'utf8').trimEnd()
    const output = await printed(join(from, name))
    fresh.set(
      name,
      `[${name}](${folder}/${name})\n\n\`\`\`ts\n${code}\n\`\`\`\n\n\`\`\`text\n${output}\n\`\`\``,
    )
  }
  return page.replace(sectionOf(folder), (old, name: string) => fresh.get(name) ?? old)
}

/** Lines that the script writes to the console, from its first to its last statement. */
async function printed(path: string): Promise<string> {
  const lines: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => lines.push(line))
  try {
    await import(path)
  } finally {
    log.mockRestore()
  }
  expect(lines.length, path).toBeGreaterThan(1)
  return lines.map((line) => line.trimEnd()).join('\n')
}
