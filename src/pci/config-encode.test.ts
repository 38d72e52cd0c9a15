import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { known, unknown } from '../base/fact.ts'
import { decodeConfig } from './config-decode.ts'
import { encodeConfig, type FunctionIdentity } from './config-encode.ts'
import { type ConfigFacts, unreadConfig } from './config-facts.ts'

const IDENTITY: FunctionIdentity = {
  vendor: 0x8086,
  device: 0x10d3,
  classCode: 0x020000,
  revision: 3,
  subsystem: { vendor: 0x1af4, device: 0x1100 },
}

function decoded(facts: ConfigFacts, identity: FunctionIdentity = IDENTITY): ConfigFacts {
  return decodeConfig(encodeConfig(identity, facts).bytes, true)
}

const word = fc.nat(0xffff)

/** Facts that could be read from a healthy function. */
const facts: fc.Arbitrary<ConfigFacts> = fc
  .record({
    pcie: fc.constantFrom(null, 0, 1, 4, 5, 6, 7, 8, 9, 10),
    bridge: fc.boolean(),
    multifunction: fc.boolean(),
    buses: fc.record({ primary: fc.nat(255), secondary: fc.nat(255), subordinate: fc.nat(255) }),
    acs: fc.option(fc.record({ capability: word, control: word, wide: word })),
    sriov: fc.option(fc.record({ totalVfs: word, offset: word, stride: word, vfDevice: word })),
    reset: fc.boolean(),
    others: fc.uniqueArray(fc.constantFrom(1, 5, 9, 0x0d, 0x11, 0x12, 3), { maxLength: 7 }),
    extended: fc.uniqueArray(fc.constantFrom(1, 2, 3, 0x0b, 0x18, 0x19, 0x1e), { maxLength: 7 }),
  })
  .map((of) => {
    const express = of.pcie !== null
    const acs = express ? of.acs : null
    const sriov = express ? of.sriov : null
    const viaFeatures = of.reset && !express
    return {
      size: express ? 4096 : 256,
      headerType: known(Number(of.bridge)),
      multifunction: known(of.multifunction),
      buses: known(of.bridge ? of.buses : null),
      pcie: known(of.pcie === null ? null : { type: of.pcie }),
      acs: known(
        acs === null
          ? null
          : {
              bits: known({ capability: acs.capability, control: acs.control }),
              wideBits: known({
                capability: (acs.capability | (acs.control << 16)) >>> 0,
                control: acs.wide,
              }),
            },
      ),
      sriov: known(sriov === null ? null : { ...sriov, numVfs: 0 }),
      functionLevelReset: known(of.reset),
      capabilities: known([
        ...of.others,
        ...(express ? [0x10] : []),
        ...(viaFeatures ? [0x13] : []),
      ]),
      extendedCapabilities: known(
        express
          ? [...of.extended, ...(acs === null ? [] : [0x0d]), ...(sriov === null ? [] : [0x10])]
          : [],
      ),
      damage: [],
    }
  })

describe('encodeConfig', () => {
  it('is the way back of decodeConfig for any facts', () => {
    fc.assert(
      fc.property(facts, (of) => {
        expect(decoded(of)).toEqual(of)
        expect(encodeConfig(IDENTITY, of).assumed).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  it('writes the identity where the specification has it', () => {
    const { bytes } = encodeConfig(IDENTITY, decoded(unreadConfig('nobody looked')))
    expect([...bytes.subarray(0, 4)]).toEqual([0x86, 0x80, 0xd3, 0x10])
    expect([...bytes.subarray(8, 12)]).toEqual([3, 0, 0, 2])
    expect([...bytes.subarray(0x2c, 0x30)]).toEqual([0xf4, 0x1a, 0x00, 0x11])
  })

  it('says what it had to assume', () => {
    const { assumed } = encodeConfig(IDENTITY, unreadConfig('needs root'))
    expect(assumed).toContain('PCI Express capability: absent')
    expect(assumed).toContain('multifunction bit: clear')
  })

  it('assumes nothing implemented for an ACS capability without its registers', () => {
    const read = decoded({
      ...decoded(unreadConfig('')),
      pcie: known({ type: 4 }),
      capabilities: known([0x10]),
      extendedCapabilities: known([0x0d]),
      acs: known({ bits: unknown('cut'), wideBits: unknown('cut') }),
    })
    expect(read.acs).toMatchObject({
      value: { bits: { value: { capability: 0, control: 0 } } },
    })
  })

  it('leaves out what does not fit, and says so', () => {
    const many = Array.from({ length: 60 }, (_, n) => 0x20 + n)
    const { bytes, assumed } = encodeConfig(IDENTITY, {
      ...decoded(unreadConfig('')),
      capabilities: known(many),
    })
    expect(assumed).toContain('capabilities that do not fit: absent')
    expect(decodeConfig(bytes, true).damage).toEqual([])
  })
})
