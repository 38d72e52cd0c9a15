import { describe, expect, it } from 'vitest'
import { known, unknown } from '../base/fact.ts'
import { type ConfigFacts, unreadConfig } from '../pci/config-facts.ts'
import { firstKnown, mergeConfig } from './config-merge.ts'

const NO = unreadConfig('no')

describe('firstKnown', () => {
  it('takes the better fact, the other where that is unknown, and the better reason', () => {
    expect(firstKnown(known(1), known(2))).toEqual(known(1))
    expect(firstKnown(unknown('a'), known(2))).toEqual(known(2))
    expect(firstKnown(unknown('a'), unknown('b'))).toEqual(unknown('a'))
  })
})

describe('mergeConfig', () => {
  const bits = known({ capability: 0x1f, control: 0x1d })
  const named: ConfigFacts = { ...NO, acs: known({ bits: unknown('a'), wideBits: unknown('b') }) }
  const full: ConfigFacts = { ...NO, acs: known({ bits, wideBits: unknown('c') }) }

  it('adds the bits of an ACS capability that the better source only names', () => {
    expect(mergeConfig(named, full).acs).toEqual(known({ bits, wideBits: unknown('b') }))
    expect(mergeConfig(NO, full).acs).toEqual(full.acs)
  })

  it('does not give a capability to a function that is known to have none', () => {
    expect(mergeConfig({ ...NO, acs: known(null) }, full).acs).toEqual(known(null))
  })

  it('keeps every damage once, and the greater size', () => {
    const merged = mergeConfig(
      { ...NO, size: 64, damage: ['x'] },
      { ...NO, size: 256, damage: ['x', 'y'] },
    )
    expect(merged).toMatchObject({ size: 256, damage: ['x', 'y'] })
  })
})
