/** Which of the known names somebody may have meant. */

/** A third of the letters may differ, two at most for short names. */
const FAR = 2

/** Names within a few edits of the wanted one, or that begin like it; nearest first. */
export function nearest(wanted: string, names: readonly string[]): readonly string[] {
  if (wanted === '') return []
  const limit = Math.max(FAR, Math.floor(wanted.length / 3))
  const scored = [...new Set(names)]
    .map((name) => ({ name, distance: distanceOf(wanted, name) }))
    .filter(({ name, distance }) => distance <= limit || name.startsWith(wanted))
  return scored.sort((a, b) => a.distance - b.distance).map(({ name }) => name)
}

/** Levenshtein distance: insertions, deletions and replacements of one character. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
