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
import { type KernelArgument, lastWith, parseArguments } from './kernel-arguments.ts'
import type { AssessedMembers } from './membership.ts'

export interface Interrupts {
  /** What holds for the host as a whole. */
  readonly host: Guarantee
  /** What holds for one group: its members' own chips before the host's. */
  ofGroup(group: AssessedMembers): Guarantee
}

/** Remapped, or "ITS-MSI", "ITS-PCI-MSIX" of ARM. */
const GOOD = /^(?:IR|ITS)-/
const PLAIN_MSI = /^PCI-MSIX?(?:-|$)/
/** I/O APIC without remapping, and the frame of MSI registers that precedes the ITS on ARM. */
const PLAIN_OTHER = /^(?:IO-APIC|GICv2m)/

/** Reads the signs of a host once; `ofGroup` then costs nothing unless the signs disagree. */
export function readInterrupts(snapshot: HostSnapshot, topology: Topology): Interrupts {
  const signs = readSigns(snapshot, topology)
  const { good, bare } = signs
  const host = hostVerdict(snapshot, signs)
  return {
    host,
    ofGroup({ members }) {
      // Where no chip remaps, the host's verdict holds; where all do, too.
      if (good === null || bare.size === 0) return host
      for (const node of members) {
        const chip = bare.get(node.address)
        if (chip !== undefined) return no(`interrupt chip ${chip}: not remapped`)
      }
      return host
    },
  }
}

interface Signs {
  /** A chip that remaps; null when none is in use. */
  readonly good: string | null
  /** A chip that does not, whoever's it is. */
  readonly bad: string | null
  /** Chips that do not, by the address in their name. */
  readonly bare: ReadonlyMap<string, string>
}

function readSigns(snapshot: HostSnapshot, topology: Topology): Signs {
  let good: string | null = null
  let bad: string | null = null
  const bare = new Map<string, string>()
  const chips = snapshot.interruptChips
  for (const chip of chips.known ? chips.value : []) {
    if (GOOD.test(chip)) good ??= chip
    else if (PLAIN_OTHER.test(chip)) bad ??= chip
    else if (PLAIN_MSI.test(chip)) {
      // "PCI-MSIX-0000:01:00.0" tells whose it is; the plain name may be an AMD IOMMU's own.
      const owner = chip.includes(':') ? chip.slice(chip.lastIndexOf('-') + 1) : null
      if (owner === null ? hasAmdUnit(snapshot) : isOwnInterrupt(owner, topology)) continue
      bad ??= chip
      if (owner !== null) bare.set(owner, chip)
    }
  }
  return { good, bad, bare }
}

/** An IOMMU's own interrupt goes around the remapping that it does for others. */
function isOwnInterrupt(owner: string, topology: Topology): boolean {
  const node = topology.nodes.get(owner)
  return node !== undefined && isIommuFunction(node)
}

function hostVerdict(snapshot: HostSnapshot, { good, bad }: Signs): Guarantee {
  if (good !== null) return yes(`interrupt chip ${good}`)
  if (bad !== null) return no(`interrupt chip ${bad}: not remapped`)
  return withoutChips(snapshot)
}

/** Until 6.2 an AMD IOMMU's own interrupt has the chip name of every other one. */
function hasAmdUnit(snapshot: HostSnapshot): boolean {
  return !snapshot.units.known || snapshot.units.value.some((unit) => unit.kind === 'amd')
}

function withoutChips(snapshot: HostSnapshot): Guarantee {
  const { commandLine, units, interruptChips } = snapshot
  const args = commandLine.known ? parseArguments(commandLine.value) : []
  const off = args.find(({ name }) => name === 'nointremap') ?? switchedOff(args)
  if (off !== null) return no(`kernel command line: ${off.text}`)
  const poor = units.known ? units.value.find(lacksRemapping) : undefined
  if (poor !== undefined) {
    return no(
      `/sys/class/iommu/${poor.name}/intel-iommu/ecap ${poor.attributes['ecap'] ?? ''}: bit 3 is clear, so this unit cannot remap interrupts, and Linux remaps on all units or none`,
    )
  }
  if (!interruptChips.known) return undecided(`interrupt chips: ${interruptChips.why}`)
  return undecided('no interrupt chip in use tells whether interrupts are remapped')
}

function switchedOff(args: readonly KernelArgument[]): KernelArgument | null {
  const last = lastWith(args, 'intremap', ['on', 'off'])
  return last?.option === 'off' ? last.argument : null
}

const ECAP_INTERRUPT_REMAPPING = 1n << 3n

/** VT-d Extended Capability Register, bit 3 (IR). */
function lacksRemapping(unit: IommuUnit): boolean {
  const ecap = unit.attributes['ecap']
  if (unit.kind !== 'intel' || ecap === undefined || !/^[0-9a-f]{1,16}$/i.test(ecap)) return false
  return (BigInt(`0x${ecap}`) & ECAP_INTERRUPT_REMAPPING) === 0n
}
