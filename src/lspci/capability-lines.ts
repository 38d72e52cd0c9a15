/**
 * Decodes the configuration space facts that lspci prints as text.
 *
 * What is not printed is "known absent" only where the text proves it: the capability list is there
 * and ends normally. Denied, cut, looped or unprinted lists make unknowns. A list without any
 * extended capabilities may come from a host that lets lspci read 256 bytes only; lspci then prints
 * the same as for a device that has none, and it is taken as none.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import {
  ACS,
  type AcsBits,
  type AcsCapability,
  type BridgeBuses,
  CAPABILITY,
  type ConfigFacts,
  EXTENDED_CAPABILITY,
  PCIE_TYPE,
  type PcieCapability,
  type SriovCapability,
  unreadConfig,
} from '../pci/config-facts.ts'
import type { Block } from './blocks.ts'
import { capabilityId } from './capability-names.ts'

/** How much of a device one block prints; the greater wins where blocks contradict each other. */
export type Detail = 'silent' | 'terse' | 'denied' | 'listed' | 'decoded'

export interface TextConfig {
  readonly facts: ConfigFacts
  readonly detail: Detail
}

interface Entry {
  readonly id: number | null
  readonly name: string
}

interface CapabilityLists {
  readonly standard: readonly Entry[]
  readonly extended: readonly Entry[]
  /** Why the lists are not complete; null when they are. */
  readonly cut: string | null
  readonly damage: readonly string[]
}

const SILENT = 'config space reads all ones: the device does not answer'
const UNPRINTED = 'this output of lspci does not print capabilities (run lspci -vv as root)'
const DENIED = 'capabilities: access denied (run lspci as root)'
const CUT = 'the text is cut off before the end of this device'

/** @param baseClass class and sub-class where known, for what lspci does not print of the header */
export function configFromText(block: Block, baseClass: Fact<number>): TextConfig {
  const lines = block.lines
  if (lines.some((line) => line.startsWith('!!! Unknown header type 7f'))) {
    return { facts: unreadConfig(SILENT), detail: 'silent' }
  }
  const lists = capabilityLists(block)
  const pcie = pcieCapability(lists)
  const headerType = headerTypeOf(block, baseClass)
  const facts: ConfigFacts = {
    size: 0,
    headerType,
    multifunction: unknown('lspci prints the multifunction bit only in hex dumps'),
    buses: busNumbers(lines, headerType),
    pcie,
    acs: acsCapability(lines, lists),
    sriov: sriovCapability(lines, lists),
    functionLevelReset: functionLevelReset(lines, lists, pcie),
    capabilities: ids(lists.standard, lists.cut),
    extendedCapabilities: ids(lists.extended, lists.cut),
    damage: lists.damage,
  }
  return { facts, detail: detailOf(lines, lists) }
}

/** Whether the block is from a verbose run: lspci -v prints "Flags:", -vv "Control:" for every device. */
export function isVerbose(block: Block): boolean {
  return block.lines.some((line) => line.startsWith('Control: ') || line.startsWith('Flags: '))
}

function detailOf(lines: readonly string[], lists: CapabilityLists): Detail {
  if (lists.cut === DENIED) return 'denied'
  if (lines.some((line) => /^(?:Control|DevCap|ACSCap):/.test(line))) return 'decoded'
  return lists.cut === UNPRINTED ? 'terse' : 'listed'
}

function capabilityLists(block: Block): CapabilityLists {
  const standard: Entry[] = []
  const extended: Entry[] = []
  const damage: string[] = []
  let cut: string | null = null
  for (const line of block.lines) {
    if (!line.startsWith('Capabilities:')) continue
    const text = line.slice('Capabilities:'.length).trim()
    if (/^<(?:access denied|available only to root)>/.test(text)) {
      cut = DENIED
      continue
    }
    const match = /^\[([0-9a-f]{2,3})(?: v\d{1,2})?\] (.*)$/i.exec(text)
    if (match === null) {
      cut ??= `a capability line cannot be read: "${text.slice(0, 40)}"`
      continue
    }
    const name = match[2] ?? ''
    if (name.startsWith('<chain ')) {
      cut = `capability list is damaged at ${match[1] ?? ''}: ${name.slice(1, 13)}`
      damage.push(cut)
      continue
    }
    const isExtended = (match[1] ?? '').length === 3
    const list = isExtended ? extended : standard
    list.push({ id: capabilityId(name, isExtended), name })
  }
  if (!isVerbose(block) && standard.length === 0 && extended.length === 0) cut ??= UNPRINTED
  if (!endsNormally(block)) cut ??= CUT
  return { standard, extended, cut, damage }
}

/** The kernel's lines come after the capabilities, so they prove that the list was over. */
function endsNormally(block: Block): boolean {
  return block.whole || block.lines.some((line) => line.startsWith('Kernel '))
}

function find(list: readonly Entry[], id: number): Entry | null {
  return list.find((entry) => entry.id === id) ?? null
}

function ids(list: readonly Entry[], cut: string | null): Fact<readonly number[]> {
  if (cut !== null) return unknown(cut)
  const nameless = list.find((entry) => entry.id === null)
  if (nameless !== undefined) {
    return unknown(`"${nameless.name.slice(0, 40)}" is no capability name known here`)
  }
  return known(list.map((entry) => entry.id ?? 0))
}

function headerTypeOf(block: Block, baseClass: Fact<number>): Fact<number> {
  const cardBus = baseClass.known && baseClass.value === 0x0607
  if (block.lines.some((line) => line.startsWith('Bus: primary='))) return known(cardBus ? 2 : 1)
  // The kernel refuses a PCI bridge class with any header but a bridge's (drivers/pci/probe.c).
  if (baseClass.known && baseClass.value === 0x0604) return known(1)
  if (cardBus) return known(2)
  const strange = block.lines.some((line) => line.startsWith('!!! '))
  if (strange) return unknown('lspci could not make sense of the header')
  if (!isVerbose(block)) return unknown('this output of lspci does not print the header type')
  return endsNormally(block) ? known(0) : unknown(CUT)
}

function busNumbers(lines: readonly string[], headerType: Fact<number>): Fact<BridgeBuses | null> {
  const line = lines.find((text) => text.startsWith('Bus: primary='))
  const match =
    /^Bus: primary=([0-9a-f]{2}), secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2})/i.exec(
      line ?? '',
    )
  if (match !== null) {
    return known({
      primary: parseInt(match[1] ?? '', 16),
      secondary: parseInt(match[2] ?? '', 16),
      subordinate: parseInt(match[3] ?? '', 16),
    })
  }
  if (headerType.known && headerType.value === 0) return known(null)
  return unknown('the text does not print bus numbers')
}

const EXPRESS_TYPES: readonly (readonly [RegExp, number])[] = [
  [/^Root Complex Integrated Endpoint/, PCIE_TYPE.integratedEndpoint],
  [/^Root Complex Event Collector/, PCIE_TYPE.eventCollector],
  [/^Endpoint/, PCIE_TYPE.endpoint],
  [/^Legacy Endpoint/, PCIE_TYPE.legacyEndpoint],
  [/^Root Port/, PCIE_TYPE.rootPort],
  [/^Upstream Port/, PCIE_TYPE.upstreamPort],
  [/^Downstream Port/, PCIE_TYPE.downstreamPort],
  // pciutils 2 wrote "PCI/PCI-X Bridge" for the direction from PCI Express to PCI.
  [/^PCI\/PCI-X to PCI-?\s?Express Bridge/i, PCIE_TYPE.pciToPcieBridge],
  [/^(?:PCI-?\s?Express to )?PCI\/PCI-X Bridge/i, PCIE_TYPE.pcieToPciBridge],
]

function pcieCapability(lists: CapabilityLists): Fact<PcieCapability | null> {
  const entry = find(lists.standard, CAPABILITY.pciExpress)
  if (entry === null) return lists.cut === null ? known(null) : unknown(lists.cut)
  const text = entry.name.replace(/^Express(?: \(v\d{1,2}\))? ?/, '')
  const type = EXPRESS_TYPES.find(([pattern]) => pattern.test(text))?.[1]
  if (type !== undefined) return known({ type })
  const numbered = /^Unknown type (\d{1,2})\b/.exec(text)
  if (numbered !== null) return known({ type: Number(numbered[1]) })
  return unknown(`"Express ${text.slice(0, 40)}" is no port type known here`)
}

const ACS_FLAGS: readonly (readonly [string, number])[] = [
  ['SrcValid', ACS.sourceValidation],
  ['TransBlk', ACS.translationBlocking],
  ['ReqRedir', ACS.requestRedirect],
  ['CmpltRedir', ACS.completionRedirect],
  ['UpstreamFwd', ACS.upstreamForwarding],
  ['EgressCtrl', ACS.egressControl],
  ['DirectTrans', ACS.directTranslated],
]

function acsCapability(
  lines: readonly string[],
  lists: CapabilityLists,
): Fact<AcsCapability | null> {
  const capability = acsWord(lines, 'ACSCap:')
  const control = acsWord(lines, 'ACSCtl:')
  const listed = find(lists.extended, EXTENDED_CAPABILITY.acs) !== null
  if (!listed && capability === null) return absent(lists)
  const bits: Fact<AcsBits> =
    capability === null || control === null
      ? unknown('the text names the ACS capability without its bits (run lspci -vv as root)')
      : known({ capability, control })
  return known({
    bits,
    // Sunrise Point has dwords there; lspci prints the words of the standard layout, and the control
    // dword at +8 is not among them.
    wideBits: unknown('lspci prints the ACS registers in the standard layout only'),
  })
}

/** The word behind seven "Name+" or "Name-" flags; null when any of them is missing. */
function acsWord(lines: readonly string[], label: string): number | null {
  const line = lines.find((text) => text.startsWith(label))
  if (line === undefined) return null
  let word = 0
  for (const [name, bit] of ACS_FLAGS) {
    const at = line.indexOf(name)
    const sign = at < 0 ? '' : line[at + name.length]
    if (sign !== '+' && sign !== '-') return null
    if (sign === '+') word |= bit
  }
  return word
}

/** An extended capability that is not in the list. A device without PCIe has no such list. */
function absent(lists: CapabilityLists): Fact<null> {
  return lists.cut === null ? known(null) : unknown(lists.cut)
}

function sriovCapability(
  lines: readonly string[],
  lists: CapabilityLists,
): Fact<SriovCapability | null> {
  const counts = lines.find((line) => line.startsWith('Initial VFs:'))
  const numbering = lines.find((line) => line.startsWith('VF offset:'))
  const listed = find(lists.extended, EXTENDED_CAPABILITY.sriov) !== null
  if (!listed && counts === undefined) return absent(lists)
  const total = /Total VFs: (\d{1,5})\b/.exec(counts ?? '')
  const active = /Number of VFs: (\d{1,5})\b/.exec(counts ?? '')
  const layout = /offset: (\d{1,5}), stride: (\d{1,5}), Device ID: ([0-9a-f]{4})/i.exec(
    numbering ?? '',
  )
  if (total === null || active === null || layout === null) {
    return unknown(
      'the text names the SR-IOV capability without its numbers (run lspci -vv as root)',
    )
  }
  // Number of VFs keeps its value while VF Enable is off (SR-IOV 1.1, 3.3.7): then there are none.
  const enabled = lines.find((line) => line.startsWith('IOVCtl:'))?.includes('Enable+') ?? true
  return known({
    totalVfs: Number(total[1]),
    numVfs: enabled ? Number(active[1]) : 0,
    offset: Number(layout[1]),
    stride: Number(layout[2]),
    vfDevice: parseInt(layout[3] ?? '', 16),
  })
}

/** PCIe FLR ("FLReset+" in DevCap) or Advanced Features with both bits ("AFCap: TP+ FLR+"). */
function functionLevelReset(
  lines: readonly string[],
  lists: CapabilityLists,
  pcie: Fact<PcieCapability | null>,
): Fact<boolean> {
  const deviceCap = lines.find((line) => line.startsWith('DevCap:'))
  const afCap = lines.find((line) => line.startsWith('AFCap:'))
  if (deviceCap?.includes('FLReset+') === true) return known(true)
  if (afCap !== undefined && /\bFLR[+-]/.test(afCap)) {
    return known(/\bTP\+/.test(afCap) && /\bFLR\+/.test(afCap))
  }
  if (lists.cut !== null) return unknown(lists.cut)
  if (find(lists.standard, CAPABILITY.advancedFeatures) !== null) {
    return unknown('the text names Advanced Features without its bits (run lspci -vv as root)')
  }
  if (pcie.known && pcie.value === null) return known(false)
  if (deviceCap?.includes('FLReset-') === true) return known(false)
  return unknown(
    deviceCap === undefined
      ? 'the text does not print DevCap (run lspci -vv as root)'
      : 'lspci prints the function level reset bit of endpoints only',
  )
}
