import { describe, expect, it } from 'vitest'
import { known, unknown } from '../base/fact.ts'
import type { ConfigFacts } from '../pci/config-facts.ts'
import { readBlocks } from './blocks.ts'
import { capabilityId } from './capability-names.ts'
import { configFromText } from './capability-lines.ts'
import { cleanLines } from './text-lines.ts'

function facts(details: string, end = '\n\n'): ConfigFacts {
  const text = `00:1c.0 PCI bridge: X\n${details}${end}`
  const [block] = readBlocks(cleanLines(text))
  if (block === undefined) throw new Error('no block')
  return configFromText(block, unknown('')).facts
}

const FLAGS = 'Flags: bus master, fast devsel\n'
const EXPRESS = 'Capabilities: [40] Express (v2) Endpoint, MSI 00\n'

describe('PCI Express type', () => {
  it.each([
    ['Express (v2) Root Port (Slot+), MSI 00', 4],
    ['Express (v2) Root Port (Slot-), IntMsgNum 0', 4],
    ['Express Root Port (Slot+) IRQ 0', 4],
    ['Express (v1) Endpoint, MSI 00', 0],
    ['Express Endpoint IRQ 0', 0],
    ['Express (v2) Legacy Endpoint, MSI 00', 1],
    ['Express (v2) Upstream Port, MSI 00', 5],
    ['Express (v2) Downstream Port (Slot+), MSI 00', 6],
    ['Express (v1) PCI-Express to PCI/PCI-X Bridge, MSI 00', 7],
    ['Express PCI/PCI-X Bridge IRQ 0', 7],
    ['Express (v1) PCI/PCI-X to PCI-Express Bridge, MSI 00', 8],
    ['Express (v2) Root Complex Integrated Endpoint, MSI 00', 9],
    ['Express (v2) Root Complex Event Collector, MSI 00', 10],
    ['Express (v2) Unknown type 11, MSI 00', 11],
  ])('reads "%s"', (text, type) => {
    expect(facts(`${FLAGS}Capabilities: [40] ${text}\n`).pcie).toEqual(known({ type }))
  })

  it('is unknown for a type nobody knows', () => {
    expect(facts(`${FLAGS}Capabilities: [40] Express (v2) Sideways Port\n`).pcie.known).toBe(false)
  })
})

describe('what is not in the capability list', () => {
  it('is absent when the list ends normally', () => {
    const read = facts(`${FLAGS}${EXPRESS}`)
    expect(read.acs).toEqual(known(null))
    expect(read.sriov).toEqual(known(null))
    expect(read.capabilities).toEqual(known([0x10]))
    expect(read.extendedCapabilities).toEqual(known([]))
  })

  it('is absent when lspci prints no list at all', () => {
    const read = facts(FLAGS)
    expect([read.pcie, read.acs]).toEqual([known(null), known(null)])
    expect(read.functionLevelReset).toEqual(known(false))
  })

  it.each([
    ['access is denied', `${FLAGS}Capabilities: <access denied>\n`, 'access denied'],
    ['access is denied, pciutils 2', `${FLAGS}Capabilities: <available only to root>\n`, 'denied'],
    ['the list loops', `${FLAGS}${EXPRESS}Capabilities: [40] <chain looped>\n`, 'chain looped'],
    ['the list is broken', `${FLAGS}Capabilities: [40] <chain broken>\n`, 'chain broken'],
    ['nothing is printed', '', 'does not print capabilities'],
  ])('is unknown when %s', (_, details, why) => {
    const read = facts(details)
    expect(read.acs).toMatchObject({ known: false, why: expect.stringContaining(why) as string })
    expect(read.extendedCapabilities.known).toBe(false)
  })

  it('is unknown when the text ends before the device does', () => {
    expect(facts(`${FLAGS}${EXPRESS}`, '').acs.known).toBe(false)
    expect(facts(`${FLAGS}${EXPRESS}Capabilities: [100 v1] Adv`, '').acs.known).toBe(false)
    expect(facts(`${FLAGS}${EXPRESS}Kernel driver in use: x\n`, '').acs).toEqual(known(null))
  })
})

describe('ACS', () => {
  const LISTED = `${FLAGS}${EXPRESS}Capabilities: [140 v1] Access Control Services\n`
  const CAP =
    'ACSCap: SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans+\n'
  const CTL =
    'ACSCtl: SrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-\n'

  it('has its bits with -vv', () => {
    const { acs } = facts(`${LISTED}${CAP}${CTL}`)
    expect(acs).toMatchObject(
      known({ bits: known({ capability: 0x5f, control: 0x1d }), wideBits: { known: false } }),
    )
  })

  it('is there without bits with -v', () => {
    expect(facts(LISTED).acs).toMatchObject(known({ bits: { known: false } }))
    expect(facts(`${FLAGS}Capabilities: [140] #0d\n`).acs).toMatchObject(
      known({ bits: { known: false } }),
    )
  })

  it('has no bits when a flag was cut off', () => {
    expect(facts(`${LISTED}${CAP}ACSCtl: SrcValid+ TransBlk- ReqRedir+\n`).acs).toMatchObject(
      known({ bits: { known: false } }),
    )
  })

  it('is found in a text that somebody filtered for it', () => {
    expect(facts(`${CAP}${CTL}`).acs).toMatchObject(known({ bits: { known: true } }))
  })
})

describe('SR-IOV', () => {
  const LISTED = `${FLAGS}${EXPRESS}Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)\n`
  const NUMBERS =
    'Initial VFs: 8, Total VFs: 8, Number of VFs: 7, Function Dependency Link: 00\n' +
    'VF offset: 128, stride: 2, Device ID: 1520\n'

  it('has its numbers with -vv', () => {
    expect(facts(`${LISTED}IOVCtl: Enable+ Migration-\n${NUMBERS}`).sriov).toEqual(
      known({ totalVfs: 8, numVfs: 7, offset: 128, stride: 2, vfDevice: 0x1520 }),
    )
  })

  it('has no virtual functions while it is not enabled', () => {
    expect(facts(`${LISTED}IOVCtl: Enable- Migration-\n${NUMBERS}`).sriov).toMatchObject(
      known({ totalVfs: 8, numVfs: 0 }),
    )
  })

  it('is unknown with -v, which prints the name only', () => {
    expect(facts(LISTED).sriov.known).toBe(false)
  })
})

describe('function level reset', () => {
  const CAP = 'DevCap: MaxPayload 128 bytes, PhantFunc 0\n'

  it.each([
    ['PCIe has it', `${EXPRESS}${CAP}ExtTag- RBE+ FLReset+\n`, known(true)],
    ['PCIe has it not', `${EXPRESS}${CAP}ExtTag- RBE+ FLReset-\n`, known(false)],
    [
      'only the control register prints the word',
      `${EXPRESS}${CAP}ExtTag- RBE+\nDevCtl: CorrErr- FLReset+\n`,
      null,
    ],
    [
      'Advanced Features have it',
      'Capabilities: [98] PCI Advanced Features\nAFCap: TP+ FLR+\n',
      known(true),
    ],
    [
      'Advanced Features lack a bit',
      'Capabilities: [98] PCI Advanced Features\nAFCap: TP- FLR+\n',
      known(false),
    ],
    ['Advanced Features are named only', 'Capabilities: [98] PCI Advanced Features\n', null],
    ['DevCap is not printed', EXPRESS, null],
  ])('when %s', (_, details, wanted) => {
    const read = facts(`${FLAGS}${details}`).functionLevelReset
    if (wanted === null) expect(read.known).toBe(false)
    else expect(read).toEqual(wanted)
  })
})

describe('header', () => {
  it('reads bus numbers, also when the line was wrapped', () => {
    const read = facts(`${FLAGS}Bus: primary=00, secondary=3a,\nsubordinate=6c, sec-latency=0\n`)
    expect(read.buses).toEqual(known({ primary: 0, secondary: 0x3a, subordinate: 0x6c }))
    expect(read.headerType).toEqual(known(1))
  })

  it('takes a verbose device without bus numbers for an ordinary one', () => {
    expect(facts(FLAGS)).toMatchObject({ headerType: known(0), buses: known(null) })
  })

  it('knows nothing of a device that does not answer', () => {
    const read = facts('!!! Unknown header type 7f\nKernel driver in use: vfio-pci\n')
    expect(read.acs).toMatchObject({ known: false })
    expect(read.headerType).toMatchObject({
      why: expect.stringContaining('does not answer') as string,
    })
  })
})

describe('capabilityId', () => {
  it.each([
    ['MSI: Enable+ Count=1/1', false, 0x05],
    ['MSI-X: Enable+ Count=5', false, 0x11],
    ['AGP3 <?>', false, 0x0e],
    ['Capability ID 0x15 [0000]', false, 0x15],
    ['#13 [0306]', false, 0x13],
    ['#19', true, 0x19],
    ['Extended Capability ID 0x2f', true, 0x2f],
    ['Unknown (13)', true, 0x0d],
    ['Access Controls', true, 0x0d],
    ['Vendor Specific Information: ID=0001', true, 0x0b],
    ['Something new', true, null],
  ])('%s', (name, extended, id) => {
    expect(capabilityId(name, extended)).toBe(id)
  })

  it('leaves the list unknown when one name is, but not what else it says', () => {
    const read = facts(`${FLAGS}${EXPRESS}Capabilities: [100 v1] Something new\n`)
    expect(read.extendedCapabilities.known).toBe(false)
    expect(read.acs).toEqual(known(null))
  })
})
