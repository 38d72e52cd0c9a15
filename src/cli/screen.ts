/**
 * A screen: a stream plus what may be done on it. Colours and shortening happen on terminals only, so
 * that what a program or a file receives is complete and plain.
 */
import type { Stream } from './stream.ts'

export type ColorChoice = 'auto' | 'always' | 'never'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

export interface Screen {
  readonly isTerminal: boolean
  /** Width to fit lines into; null = lines may be as long as they like. */
  readonly width: number | null
  /** Box-drawing characters and the ellipsis may be used. */
  readonly unicode: boolean
  /** The text in a style, or as it is where colours are off. */
  paint(style: Style, text: string): string
  /** Writes the lines, each with a line end. */
  print(lines: readonly string[]): void
}

/** Select Graphic Rendition: [on, off] (ECMA-48 8.3.117). */
const STYLES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
}

const WIDTH_MIN = 40
/** For terminals that do not tell their width. */
const WIDTH_DEFAULT = 80

export function screenOver(
  stream: Stream,
  env: Readonly<Record<string, string | undefined>>,
  choice: ColorChoice,
): Screen {
  const colored = wantsColor(stream, env, choice)
  return {
    isTerminal: stream.isTerminal,
    width: stream.isTerminal ? Math.max(WIDTH_MIN, stream.columns ?? WIDTH_DEFAULT) : null,
    unicode: speaksUnicode(env),
    paint: (style, text) => {
      if (!colored || text === '') return text
      const [on, off] = STYLES[style]
      return `\x1b[${String(on)}m${text}\x1b[${String(off)}m`
    },
    print: (lines) => {
      if (lines.length > 0) stream.write(`${lines.join('\n')}\n`)
    },
  }
}

/** --color first, then NO_COLOR (no-color.org), FORCE_COLOR, TERM=dumb, and whether it is a terminal. */
function wantsColor(
  stream: Stream,
  env: Readonly<Record<string, string | undefined>>,
  choice: ColorChoice,
): boolean {
  if (choice !== 'auto') return choice === 'always'
  if ((env['NO_COLOR'] ?? '') !== '') return false
  const force = env['FORCE_COLOR']
  if (force !== undefined) return force !== '0' && force !== 'false'
  return stream.isTerminal && env['TERM'] !== 'dumb'
}

/** As other programs decide it: the locale, LC_ALL before LC_CTYPE before LANG; none at all is "C". */
function speaksUnicode(env: Readonly<Record<string, string | undefined>>): boolean {
  for (const name of ['LC_ALL', 'LC_CTYPE', 'LANG']) {
    const value = env[name] ?? ''
    if (value !== '') return /utf-?8/i.test(value)
  }
  return false
}

/** The text cut to `width` characters, its loss marked; as it is when it fits or `width` is null. */
export function shorten(text: string, width: number | null, unicode: boolean): string {
  if (width === null || text.length <= width) return text
  const characters = Array.from(text)
  if (characters.length <= width) return text
  const mark = unicode ? '…' : '...'
  const kept = Math.max(0, width - mark.length)
  return `${characters.slice(0, kept).join('').trimEnd()}${mark}`
}

/** The text broken between words into lines of at most `width` characters; one line when width is null. */
export function wrap(text: string, width: number | null): readonly string[] {
  if (width === null || text.length <= width) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(line)
  return lines
}

/** Wrapped text behind a first prefix and, on further lines, as many spaces. */
export function hanging(prefix: string, text: string, width: number | null): readonly string[] {
  const room = width === null ? null : Math.max(WIDTH_MIN / 2, width - prefix.length)
  return wrap(text, room).map((line, index) =>
    index === 0 ? prefix + line : ' '.repeat(prefix.length) + line,
  )
}
