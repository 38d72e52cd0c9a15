/**
 * msi: can a device forge an interrupt that belongs to another?
 *
 * A message-signalled interrupt is a DMA write to a magic window, so a device can send any vector
 * unless interrupts are remapped. Nothing in sysfs says "remapping is on". The names of the
 * interrupt chips in use do, strongest first:
 *
 *     IR-PCI-MSIX-0000:01:00.0   remapped, and whose (since 6.2)
 *     IR-PCI-MSI, IR-IO-APIC     remapped (all units of a host or none: drivers/iommu/{intel,amd})
 *     ITS-PCI-MSI-...            ARM GICv3 ITS, which checks the sender itself
 *     PCI-MSI..., IO-APIC        not remapped
 *     DMAR-MSI, AMD-Vi           the IOMMU's own interrupt, never remapped: proves nothing
 *
 * Only interrupts in use are listed, so a missing name proves nothing either.
 */
import type { HostSnapshot, IommuUnit } from '../host.ts'
import { isIommuFunction } from '../groups/predict.ts'
import type { Topology } from '../topology/topology.ts'
import { type Guarantee, no, undecided, yes } from './guarantee.ts'
import type { AssessedMembers } from './membership.ts'

export interface Interrupts {
  /** What holds for the host as a whole. */
  readonly host: Guarantee
  /** What holds for one group: its members' own chips before the host's. */
  ofGroup(group: AssessedMembers): Guarantee
}

const REMAPPED = /^IR-/
/** "ITS-MSI", "ITS-PCI-MSI", "ITS-PCI-MSIX". */
const ARM_ITS = /^ITS-/
const PLAIN_MSI = /^PCI-MSIX?$/
/** I/O APIC without remapping, and the frame of MSI registers that precedes the ITS on ARM. */
const PLAIN_OTHER = /^(?:IO-APIC|GICv2m)/

/** Reads the signs of a host once; `ofGroup` then costs a look-up per member. */
export function readInterrupts(snapshot: HostSnapshot, topology: Topology): Interrupts {
  const owned = new Map<string, Guarantee>()
  const shared: string[] = []
  const chips = snapshot.interruptChips
  for (const chip of chips.known ? chips.value : []) {
    // "PCI-MSIX-0000:01:00.0": the chip, and whose it is.
    const dash = chip.lastIndexOf('-')
    if (chip.indexOf(':', dash) < 0) shared.push(chip)
    else noteOwned(owned, chip.slice(dash + 1), chip.slice(0, dash), chip, topology)
  }
  const host = hostVerdict(snapshot, shared, owned)
  return {
    host,
    ofGroup({ members }) {
      let proof: Guarantee | null = null
      if (owned.size === 0) return host
      for (const node of members) {
        const own = owned.get(node.address)
        if (own?.verdict === 'no') return own
        proof ??= own ?? null
      }
      // The host's word is worth more than one member's, unless it says nothing or is the same.
      return host.verdict === 'no' ? host : (proof ?? host)
    },
  }
}

function noteOwned(
  owned: Map<string, Guarantee>,
  address: string,
  kind: string,
  chip: string,
  topology: Topology,
): void {
  const node = topology.nodes.get(address)
  // An IOMMU's own interrupt goes around the remapping that it does for others.
  if (node !== undefined && isIommuFunction(node)) return
  const evidence = `interrupt chip ${chip}`
  if (REMAPPED.test(kind) || ARM_ITS.test(kind)) {
    if (owned.get(address)?.verdict !== 'no') owned.set(address, yes(evidence))
  } else if (PLAIN_MSI.test(kind) || PLAIN_OTHER.test(kind)) {
    owned.set(address, no(`${evidence}: not remapped`))
  }
}

function hostVerdict(
  snapshot: HostSnapshot,
  shared: readonly string[],
  owned: ReadonlyMap<string, Guarantee>,
): Guarantee {
  const good = shared.find((chip) => REMAPPED.test(chip) || ARM_ITS.test(chip))
  if (good !== undefined) return yes(`interrupt chip ${good}`)
  const ownedVerdicts = [...owned.values()]
  const other = ownedVerdicts.find((one) => one.verdict === 'yes')
  if (other !== undefined) return other
  const plain = shared.find(
    (chip) => PLAIN_OTHER.test(chip) || (PLAIN_MSI.test(chip) && !hasAmdUnit(snapshot)),
  )
  if (plain !== undefined) return no(`interrupt chip ${plain}: not remapped`)
  const bad = ownedVerdicts.find((one) => one.verdict === 'no')
  if (bad !== undefined) return bad
  return withoutChips(snapshot)
}

/** Until 6.2 an AMD IOMMU's own interrupt has the chip name of every other one. */
function hasAmdUnit(snapshot: HostSnapshot): boolean {
  return !snapshot.units.known || snapshot.units.value.some((unit) => unit.kind === 'amd')
}

function withoutChips(snapshot: HostSnapshot): Guarantee {
  const { commandLine, units, interruptChips } = snapshot
  const off = commandLine.known
    ? /(?:^|\s)(intremap=off|nointremap)(?=\s|$)/.exec(commandLine.value)
    : null
  if (off !== null) return no(`kernel command line: ${off[1] ?? ''}`)
  const poor = units.known ? units.value.find(lacksRemapping) : undefined
  if (poor !== undefined) {
    return no(
      `/sys/class/iommu/${poor.name}/intel-iommu/ecap ${poor.attributes['ecap'] ?? ''}: bit 3 is clear, so this unit cannot remap interrupts, and Linux remaps on all units or none`,
    )
  }
  if (!interruptChips.known) return undecided(`interrupt chips: ${interruptChips.why}`)
  return undecided('no interrupt chip in use tells whether interrupts are remapped')
}

const ECAP_INTERRUPT_REMAPPING = 1n << 3n

/** VT-d Extended Capability Register, bit 3 (IR). */
function lacksRemapping(unit: IommuUnit): boolean {
  const ecap = unit.attributes['ecap']
  if (unit.kind !== 'intel' || ecap === undefined || !/^[0-9a-f]{1,16}$/i.test(ecap)) return false
  return (BigInt(`0x${ecap}`) & ECAP_INTERRUPT_REMAPPING) === 0n
}
