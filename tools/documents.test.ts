/** Documents name files and folders, and link to each other: all of them are there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const DOCUMENTS = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...(readdirSync(join(ROOT, 'docs'), { recursive: true }) as string[])
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]
/** Paths in documents begin at the root, in src/, or, of the model, in src/model/. */
const PLACES = ['', 'src', 'src/model']
const FOLDERS = 'src|bench|lab|tools|explore|examples|docs|machines|model|isolation|kernel|open|cli'

describe.each(DOCUMENTS)('%s', (document) => {
  const text = readFileSync(join(ROOT, document), 'utf8')

  it('links only to what is there', () => {
    const targets = [...text.matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)]
    const missing = targets
      .map(([, target = '']) => join(ROOT, dirname(document), target))
      .filter((path) => !existsSync(path))
    expect(missing).toEqual([])
  })

  it('names only files that are there', () => {
    const named = [...text.matchAll(new RegExp(`\`((?:${FOLDERS})/[\\w./-]*)\``, 'g'))]
    const missing = named
      .map(([, path = '']) => path)
      .filter((path) => PLACES.every((place) => !existsSync(join(ROOT, place, path))))
    expect(missing).toEqual([])
  })

  it('links to headings that are there', () => {
    const targets = [...text.matchAll(/\]\(([^)#\s:]*)#([^)]+)\)/g)]
    const missing = targets.filter(([, path = '', heading = '']) => {
      const file = path === '' ? document : join(dirname(document), path)
      return !headings(readFileSync(join(ROOT, file), 'utf8')).includes(heading)
    })
    expect(missing.map(([link]) => link)).toEqual([])
  })
})

/** As GitHub makes anchors of them. */
function headings(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )
}
