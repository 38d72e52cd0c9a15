/**
 * reset: does every reset that the members need stay inside the group?
 *
 * A device must be reset between two owners. A function that can reset itself (FLR, power states,
 * firmware, a device-specific way) harms nobody. Else its whole bus is reset through the bridge above,
 * which hits everything on it: VFIO allows that only to an owner of all of it (hot reset).
 *
 * The kernel's list of methods costs a file per function, so it is read last: for most functions the
 * tree alone answers.
 */
import type { Node, Topology } from '../topology/topology.ts'
import { bridgeKind } from './bridge.ts'
import { type Guarantee, no, undecided, weaker, yes } from './guarantee.ts'
import type { AssessedMembers, Membership } from './membership.ts'

export type Resets = (group: AssessedMembers) => Guarantee

/** Methods of drivers/pci/pci.c that touch one function only; the others are "bus" and "cxl_bus". */
const FUNCTION_METHODS: ReadonlySet<string> = new Set([
  'flr',
  'af_flr',
  'pm',
  'acpi',
  'device_specific',
])

const NOTHING_TO_RESET = yes('no member that a user could open, so nothing needs a reset')
const VIRTUAL = yes('virtual functions have function level reset (SR-IOV specification 2.2.2)')

export function readResets(membership: Membership, topology: Topology): Resets {
  const virtuals = virtualFunctions(topology)
  const resettable = new Map<Node, boolean>()
  const byBus = new Map<Node, Guarantee>()

  function busAllows(bridge: Node): boolean {
    let allows = resettable.get(bridge)
    if (allows === undefined) {
      allows = !forbidsBusReset(bridge) && !bridge.children.some(forbidsBusReset)
      resettable.set(bridge, allows)
    }
    return allows
  }
  function busReset(node: Node, id: string): Guarantee | null {
    const bridge = node.parent
    if (bridge === null || !busAllows(bridge) || !membership.holdsAllBelow(id, bridge)) return null
    let proof = byBus.get(bridge)
    if (proof === undefined) {
      proof = yes(`a reset of the bus behind ${bridge.address} hits only members of this group`)
      byBus.set(bridge, proof)
    }
    return proof
  }
  function ofFunction(node: Node, id: string): Guarantee {
    if (node.isVirtual) return VIRTUAL
    const taken = virtuals.get(node.address)?.find((vf) => membership.groupOf(vf) !== id)
    if (taken !== undefined) {
      return no(
        `a reset of ${node.address} also resets its virtual function ${taken.address}, which is not in this group`,
      )
    }
    return busReset(node, id) ?? byMethods(node)
  }
  return ({ group, members, others, unlisted }) => {
    let result: Guarantee | null = null
    for (const node of members) {
      // VFIO refuses bridges (vfio_pci_core.c checks the header type), so no user ever resets one.
      if (bridgeKind(node) === 'bridge') continue
      const own = ofFunction(node, group.id)
      result = result === null ? own : weaker(result, own)
      if (result.verdict === 'no') return result
    }
    if (unlisted.length > 0) {
      const blind = undecided(`${unlisted.join(', ')} could not be looked at`)
      result = result === null ? blind : weaker(result, blind)
    }
    const other = others[0]
    if (other !== undefined) {
      const blind = undecided(`how ${other.name} is reset is up to its driver`)
      result = result === null ? blind : weaker(result, blind)
    }
    return result ?? NOTHING_TO_RESET
  }
}

function byMethods(node: Node): Guarantee {
  const methods = node.fn.resetMethods
  if (!methods.known) return byCapability(node, methods.why)
  const alone = methods.value.find((method) => FUNCTION_METHODS.has(method))
  if (alone !== undefined) return yes(`${node.address} can reset itself: ${alone}`)
  if (methods.value.length > 0) {
    return no(
      `${node.address} can only be reset with its bus (${methods.value.join(', ')}), which hits devices outside this group`,
    )
  }
  return no(`the kernel knows no way to reset ${node.address} that stays inside this group`)
}

function byCapability(node: Node, why: string): Guarantee {
  const flr = node.fn.config.functionLevelReset
  if (flr.known && flr.value && !isListed(node, NO_FUNCTION_RESET)) {
    return yes(`${node.address} has the function level reset capability`)
  }
  return undecided(`reset methods of ${node.address}: ${why}`)
}

/** Virtual functions by physical function, for the few that have some. */
function virtualFunctions(topology: Topology): ReadonlyMap<string, readonly Node[]> {
  const found = new Map<string, Node[]>()
  for (const node of topology.nodes.values()) {
    if (!node.isVirtual || !node.fn.physicalFunction.known) continue
    const physical = node.fn.physicalFunction.value ?? ''
    const mates = found.get(physical)
    if (mates === undefined) found.set(physical, [node])
    else mates.push(node)
  }
  return found
}

/** Vendor and device id as one number. */
function ids(vendor: number, devices: readonly number[]): number[] {
  return devices.map((device) => vendor * 0x10000 + device)
}

/** quirk_no_bus_reset (drivers/pci/quirks.c): these do not come back from a bus reset. */
const NO_BUS_RESET: ReadonlySet<number> = new Set([
  ...ids(0x168c, [0x0030, 0x0032, 0x0033, 0x0034, 0x003c, 0x003e]),
  ...ids(0x177d, [0xa100]),
  ...ids(0x104c, [0xb005]),
  ...ids(0x11c1, [0x5900, 0x5901]),
  ...ids(0x1b21, [0x1164]),
])

/** quirk_no_flr (drivers/pci/quirks.c): these have the capability, but it hangs them. */
const NO_FUNCTION_RESET: ReadonlySet<number> = new Set([
  ...ids(0x1022, [0x1487, 0x148c, 0x149c, 0x7901]),
  ...ids(0x8086, [0x1502, 0x1503]),
  ...ids(0x14c3, [0x0616]),
  ...ids(0xd063, [0x1000]),
])

function forbidsBusReset(node: Node): boolean {
  return isListed(node, NO_BUS_RESET) || isNvidiaBoard(node)
}

/** quirk_nvidia_no_bus_reset: boards on which it leaves the GPU unusable (ids 2340 to 237f). */
function isNvidiaBoard({ fn }: Node): boolean {
  const { vendor, device } = fn
  return (
    vendor.known && vendor.value === 0x10de && device.known && (device.value & 0xffc0) === 0x2340
  )
}

function isListed({ fn }: Node, table: ReadonlySet<number>): boolean {
  const { vendor, device } = fn
  return vendor.known && device.known && table.has(vendor.value * 0x10000 + device.value)
}
