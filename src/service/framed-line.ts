/**
 * Lines that tell whether they are whole: length, checksum, JSON.
 *
 *     87 5f1c0a93b2e47d60 {"sequence":3,"at":1766000000000,"step":{"kind":"probe", ...}}
 *
 * A crash may cut the last line, and a person may damage any. Such lines are passed over; each of the others
 * stands for itself.
 */

/** SHA-256 of a text in UTF-8, in hexadecimal. */
export type Digest = (text: string) => string

const LINE = /^(\d{1,9}) ([0-9a-f]{16}) (.*)$/s
const CHECK_DIGITS = 16

export function framedLine(value: unknown, digest: Digest): string {
  const json = JSON.stringify(value)
  return `${String(json.length)} ${digest(json).slice(0, CHECK_DIGITS)} ${json}\n`
}

/** What the whole lines say, in order: objects, whatever is in them. */
export function readFramedLines(text: string, digest: Digest): readonly object[] {
  // What follows the last end of a line is nothing, or a line that was cut.
  const lines = text.split('\n').slice(0, -1)
  return lines.map((line) => valueIn(line, digest)).filter((value) => value !== null)
}

function valueIn(line: string, digest: Digest): object | null {
  const [, length, check, json = ''] = LINE.exec(line) ?? []
  if (Number(length) !== json.length) return null
  if (digest(json).slice(0, CHECK_DIGITS) !== check) return null
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}
