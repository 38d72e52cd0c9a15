/** The command line again, as it can be pasted into a shell. */

/** Words that a shell takes as they are. */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/

/** "claim 01:00.0 --reason 'for alice'" */
export function shellWords(argv: readonly string[]): string {
  return argv
    .map((word) => (PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ')
}
