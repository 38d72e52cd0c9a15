/**
 * How long an open file lives: struct file and its f_count (fs/file_table.c).
 *
 * Descriptors of any process count, and so do files that need another one: a VFIO device file holds the
 * group file it came from, so closing the group's descriptor early changes nothing. Whoever lets go last
 * runs the file's `release`.
 */
import type { OpenFile } from './process.ts'
import type { Task } from './task.ts'

const counts = new WeakMap<OpenFile, number>()

/** get_file(): one more that needs the file. */
export function holdFile(file: OpenFile): void {
  counts.set(file, (counts.get(file) ?? 0) + 1)
}

/** fput(): one less; the last one releases the file. */
export function* dropFile(file: OpenFile): Task<void> {
  const left = (counts.get(file) ?? 0) - 1
  counts.set(file, left)
  if (left > 0) return
  const releasing = file.release()
  if (releasing !== undefined) yield* releasing
}
