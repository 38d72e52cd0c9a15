/**
 * Writes many files of few different contents: equal ones are names of one file.
 *
 * A function has some twenty attributes, nearly all equal to those of its neighbours. As files of
 * their own they would take a page and an inode each: 40,000 functions would not fit in the memory
 * of a small machine, and every program would be measured on cache misses that sysfs, which makes
 * its texts when asked, does not have.
 */
import { linkSync, writeFileSync } from 'node:fs'

/** File systems limit the names of one file, ext4 to 65,000. */
const NAMES_MAX = 60_000

/** @returns writes a text to a path where no file is yet */
export function sharedFiles(): (path: string, text: string) => void {
  const originals = new Map<string, { readonly path: string; names: number }>()
  return (path, text) => {
    const original = originals.get(text)
    if (original === undefined || original.names === NAMES_MAX) {
      writeFileSync(path, text)
      originals.set(text, { path, names: 1 })
      return
    }
    linkSync(original.path, path)
    original.names += 1
  }
}
