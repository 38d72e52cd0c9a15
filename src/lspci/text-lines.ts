/**
 * Undoes what mail, terminals, forums and browsers did to a text, as far as that can be undone
 * without knowing what the lines mean: line ends, tabs, quote marks, colours, HTML entities,
 * quoted-printable, doubled line spacing.
 *
 *     "> 00:1c.0 PCI bridge: ...\r\n"  ->  { text: "00:1c.0 PCI bridge: ...", width: 70 }
 *
 * Indentation is dropped on purpose: mail programs destroy it, so nothing later may depend on it.
 */

export interface TextLine {
  /** Without quote marks, surrounding blanks and control characters; tabs became blanks. */
  readonly text: string
  /** Characters of the line as it came; tells whether a program could have wrapped it. */
  readonly width: number
}

export interface CleanText {
  readonly lines: readonly TextLine[]
  /** Whether the last line has its line end: if not, the text may have been cut in the middle of it. */
  readonly endsWithLine: boolean
}

/** Longer lines are no lines of lspci; cutting them bounds the work on each. */
const MAX_WIDTH = 4000

const ENTITIES: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&amp;': '&',
  '&quot;': '"',
  '&#39;': "'",
  '&nbsp;': ' ',
}

/** Splits a text into clean lines. Linear in the length of the text; never throws. */
export function cleanLines(text: string): CleanText {
  const raw = decodeQuotedPrintable(text).split(/\r\n|\n|\r/)
  const endsWithLine = raw.at(-1)?.trim() === ''
  if (endsWithLine) raw.pop()
  const lines = raw.map(cleanLine)
  return { lines: isDoubleSpaced(lines) ? singleSpaced(lines) : lines, endsWithLine }
}

function cleanLine(raw: string): TextLine {
  let text = raw.slice(0, MAX_WIDTH)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours are what is removed here
  text = text.replace(/\u001b\[[0-9;]{0,12}[A-Za-z]/g, '')
  text = text.replace(/&(?:lt|gt|amp|quot|#39|nbsp);/g, (entity) => ENTITIES[entity] ?? entity)
  text = text.replace(/<\/?(?:pre|code|tt|br|p|div|span)\b[^<>]{0,100}>/gi, '')
  text = text.replace(/[\t\u00a0\ufeff]/g, ' ')
  return { text: withoutQuoteMarks(text).trim(), width: raw.length }
}

/** "> > text" -> "text". No line of lspci begins with ">", and where a wrapped one does (">SERR-") it is no loss. */
function withoutQuoteMarks(text: string): string {
  let at = 0
  while (text[at] === '>' || text[at] === ' ') at += 1
  return text.slice(at)
}

/** Mail saved as it was sent: "primary=3D00", and "=" at the end of a broken line. */
function decodeQuotedPrintable(text: string): string {
  if (!text.includes('primary=3D') && !text.includes('Count=3D')) return text
  return text
    .replace(/=\r?\n/g, '')
    .replace(/=([2-7][0-9A-F])/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)))
}

/** Some web pages put an empty line after every line. */
function isDoubleSpaced(lines: readonly TextLine[]): boolean {
  const blank = lines.filter((line) => line.text === '').length
  return lines.length >= 8 && blank * 20 >= lines.length * 9
}

/** Takes one empty line away after each line, so that real empty lines stay. */
function singleSpaced(lines: readonly TextLine[]): TextLine[] {
  return lines.filter((line, i) => line.text !== '' || lines[i - 1]?.text === '')
}
