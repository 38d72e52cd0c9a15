import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSet, lastWith, parseArguments } from './kernel-arguments.ts'

describe('parseArguments()', () => {
  it('splits at white space, takes "-" and "_" in names as one, and keeps the text', () => {
    expect(parseArguments(' quiet  vfio-pci.ids=10de:1b80,10de:10f0\n')).toEqual([
      { name: 'quiet', value: '', options: [], text: 'quiet' },
      {
        name: 'vfio_pci.ids',
        value: '10de:1b80,10de:10f0',
        options: ['10de:1b80', '10de:10f0'],
        text: 'vfio-pci.ids=10de:1b80,10de:10f0',
      },
    ])
  })

  it('stops at a lone "--", behind which arguments are for the init program', () => {
    expect(parseArguments('quiet -- intel_iommu=off').map(({ name }) => name)).toEqual(['quiet'])
  })

  it('takes quotes off a value', () => {
    expect(parseArguments('intel_iommu="on,sm_on"')[0]?.options).toEqual(['on', 'sm_on'])
  })

  it('reads any text, and every word before "--" is an argument', () => {
    fc.assert(
      fc.property(fc.string(), (line) => {
        const words = line.split(/\s+/).filter((word) => word !== '')
        const end = words.indexOf('--')
        const expected = end < 0 ? words : words.slice(0, end)
        expect(parseArguments(line).map(({ text }) => text)).toEqual(expected)
      }),
    )
  })
})

describe('lastWith() and isSet()', () => {
  it('the last one wins, over several arguments and within one', () => {
    const last = (line: string): string | undefined =>
      lastWith(parseArguments(line), 'intel_iommu', ['on', 'off'])?.option
    expect(last('intel_iommu=on intel_iommu=off')).toBe('off')
    expect(last('intel_iommu=off,on,strict')).toBe('on')
    expect(last('amd_iommu=off intel_iommu=strict')).toBeUndefined()
  })

  it('a boolean is set by 1, y, on, true or nothing', () => {
    const set = (line: string): boolean => isSet(parseArguments(line), 'iommu.passthrough') !== null
    expect(
      ['=1', '=y', '=Y', '=on', '=true', ''].map((v) => set(`iommu.passthrough${v}`)),
    ).not.toContain(false)
    expect(['=0', '=n', '=off', '=2'].map((v) => set(`iommu.passthrough${v}`))).not.toContain(true)
    expect(set('iommu.passthrough=1 iommu.passthrough=0')).toBe(false)
    expect(set('quiet')).toBe(false)
  })
})
