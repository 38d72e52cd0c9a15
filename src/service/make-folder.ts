/**
 * A folder and those above it. Node's own recursive mkdir never ends where the system refuses with ENOENT to make
 * anything, as in /proc.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/** @param path absolute @throws as mkdir(2): EEXIST when there is something else than a folder */
export function makeFolder(path: string, mode: number): void {
  if (existsSync(`${path}/.`)) return
  const above = dirname(path)
  if (above !== path) makeFolder(above, mode)
  try {
    mkdirSync(path, { mode })
  } catch (cause) {
    // Somebody else may have been faster.
    if (!existsSync(`${path}/.`)) throw cause
  }
}
