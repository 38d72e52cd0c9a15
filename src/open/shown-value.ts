/**
 * A parsed JSON value in a few words, for messages about files from strangers.
 *
 * Never JSON.stringify for that: it recurses, and a file of 200,000 nested brackets, which parses well,
 * ends the program with a stack overflow; nor does a message need a megabyte of what was found.
 */
const SHOWN_CHARACTERS = 60

/** "nothing", "7", "\"abc\"", "a list of 3", "an object" */
export function shownValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return shownText(value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (value === null) return 'null'
  return Array.isArray(value) ? `a list of ${String(value.length)}` : 'an object'
}

function shownText(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS
  return `${JSON.stringify(text.slice(0, SHOWN_CHARACTERS))}${cut ? '...' : ''}`
}
