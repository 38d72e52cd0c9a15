/**
 * Strength as six letters, one for each guarantee: the letter for yes, "-" for no, "?" for unknown.
 *
 *     TDPMRI   everything holds
 *     TD-?RI   peer traffic is possible, nobody knows about interrupts
 */
import { STRENGTH_BITS, type Strength, type StrengthBit } from '../../isolation/assess/strength.ts'
import type { Verdict } from '../../isolation/assess/guarantee.ts'
import { type Screen, type Style, hanging } from '../screen.ts'

const STRENGTH_LETTERS: Readonly<Record<StrengthBit, string>> = {
  translation: 'T',
  dma: 'D',
  p2p: 'P',
  msi: 'M',
  reset: 'R',
  identity: 'I',
}

const STYLE_OF: Readonly<Record<Verdict, Style>> = { yes: 'green', no: 'red', unknown: 'yellow' }

/** "TDP-R?", painted. Always as many characters as there are guarantees. */
export function strengthLetters(strength: Strength, screen: Screen): string {
  return STRENGTH_BITS.map((bit) => {
    const { verdict } = strength[bit]
    const letter = verdict === 'yes' ? STRENGTH_LETTERS[bit] : verdict === 'no' ? '-' : '?'
    return screen.paint(STYLE_OF[verdict], letter)
  }).join('')
}

/** One line for each guarantee, with what it rests on. */
export function strengthLines(strength: Strength, screen: Screen): readonly string[] {
  return STRENGTH_BITS.flatMap((bit) => {
    const { verdict, evidence } = strength[bit]
    const word = verdict.padEnd('unknown'.length)
    const head = `  ${STRENGTH_LETTERS[bit]} ${bit.padEnd('translation'.length)}  ${word}  `
    const [first = '', ...rest] = hanging(head, evidence, screen.width)
    const shown = first.replace(word, screen.paint(STYLE_OF[verdict], word))
    return [shown, ...rest]
  })
}

/** The key to the letters, for people who see them for the first time. */
export function strengthLegend(): readonly string[] {
  return [
    'strength: T translation, D own DMA context, P no peer bypass, M MSI remapped,',
    '          R reset stays inside, I no identity regions; - no, ? unknown',
  ]
}
