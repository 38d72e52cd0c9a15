/**
 * Values of options, checked: what a person, a script or an attacker gives is a value of the right form
 * or a usage error that shows what was given, harmless to print.
 */
import { IsogroupError } from '../base/errors.ts'
import type { CommandOptions } from './invocation.ts'

/** Texts from the command line longer than this are mistakes. */
export const TEXT_MAX = 256

/** The value of an option that may be given once; null when it was not. @throws IsogroupError usage */
export function single(options: CommandOptions, name: string, flag: string): string | null {
  const values = options[name]
  if (typeof values !== 'object') return null
  const [value] = values
  if (value === undefined) return null
  if (values.length > 1) {
    throw new IsogroupError(
      'usage',
      `${flag} was given ${String(values.length)} times`,
      'give it once',
    )
  }
  return checkedText(value, flag)
}

/** The values of an option that may be given again and again, without repeats. @throws IsogroupError usage */
export function several(options: CommandOptions, name: string, flag: string): readonly string[] {
  const values = options[name]
  if (typeof values !== 'object') return []
  return [...new Set(values.map((value) => checkedText(value, flag)))]
}

/** The text when it is one line of printable characters, not empty and not overlong. @throws IsogroupError usage */
export function checkedText(text: string, what: string): string {
  if (text === '')
    throw new IsogroupError('usage', `${what} is empty`, 'leave it out or give a value')
  if (text.length > TEXT_MAX) {
    throw new IsogroupError(
      'usage',
      `${what} has ${String(text.length)} characters: ${printable(text)}`,
      `at most ${String(TEXT_MAX)} are accepted`,
    )
  }
  // Control, format and unassigned characters, line separators, halves of pairs: nothing that a person types.
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) {
    throw new IsogroupError(
      'usage',
      `${what} holds characters that cannot be printed: ${printable(text)}`,
      'give one line of plain text',
    )
  }
  return text
}

const SHOWN_MAX = 60

/** The text as it can be shown safely: quoted, escaped, cut. */
export function printable(text: string): string {
  const escaped = JSON.stringify(text.slice(0, SHOWN_MAX)).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return text.length > SHOWN_MAX ? `${escaped}...` : escaped
}

/** A whole number in plain decimal digits. @throws IsogroupError usage */
export function wholeNumber(
  text: string,
  flag: string,
  { min, max, unit }: { readonly min: number; readonly max: number; readonly unit: string },
): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new IsogroupError(
    'usage',
    `${flag} ${printable(text)} is no number of ${unit}`,
    `give a whole number from ${String(min)} to ${String(max)}`,
  )
}
