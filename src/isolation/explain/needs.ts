/**
 * Which remedies a chain of joins asks for. Joins that ask for the same are gathered: eight functions
 * of one chip are one piece of advice, not seven.
 */
import { atLeast } from '../../base/kernel-version.ts'
import { formatBus } from '../../pci/address.ts'
import type { AcsTable } from '../groups/acs.ts'
import type { Join } from '../groups/prediction.ts'
import type { Rules } from '../groups/rules.ts'
import type { Node, Topology } from '../topology/topology.ts'
import { isPort } from './clean-ports.ts'
import type { RemedyCode } from './explanation.ts'

/** Remedies that single joins ask for; the others follow from the chain as a whole. */
export type NeedCode = Exclude<RemedyCode, 'move-card' | 'read-more' | 'not-override'>

/** A remedy and the devices it is about, not yet in words. */
export interface Need {
  readonly code: NeedCode
  /** In order of first mention; the deciding device first where one decides. */
  readonly about: readonly Node[]
}

export interface NeedContext {
  readonly topology: Topology
  readonly rules: Rules
  readonly acs: AcsTable
}

type Ask = (code: NeedCode, scope: string, ...about: (Node | undefined)[]) => void

/** In order of first mention along the chain. */
export function needsOf(chain: readonly Join[], context: NeedContext): readonly Need[] {
  const gathered = new Map<string, { code: NeedCode; about: Set<Node> }>()
  function ask(code: NeedCode, scope: string, ...about: (Node | undefined)[]): void {
    const key = `${code} ${scope}`
    const need = gathered.get(key) ?? { code, about: new Set() }
    for (const node of about) if (node !== undefined) need.about.add(node)
    gathered.set(key, need)
  }
  for (const join of chain) askForJoin(join, context, ask)
  return [...gathered.values()].map(({ code, about }) => ({ code, about: [...about] }))
}

function askForJoin(join: Join, context: NeedContext, ask: Ask): void {
  const { nodes } = context.topology
  const [device, joined] = [nodes.get(join.device), nodes.get(join.joins)]
  const decider = nodes.get(join.decider)
  switch (join.code) {
    case 'no-acs-above':
      if (decider !== undefined) askForPort(decider, context, ask)
      return
    case 'multifunction':
      askForSlot(device, joined, context, ask)
      return
    case 'bridge-alias':
      if (join.certainty === 'certain') ask('bridge-hides', '', decider)
      return
    case 'quirk-alias':
      ask('shared-id', join.decider, device, joined)
      return
    case 'dma-host':
      ask('vmd-off', join.decider, decider)
      return
  }
}

/** Two functions of one slot: ports are a matter of the chipset, anything else of the chip's vendor. */
function askForSlot(
  device: Node | undefined,
  mate: Node | undefined,
  context: NeedContext,
  ask: Ask,
): void {
  const pair = [device, mate].filter((node) => node !== undefined)
  for (const node of pair) {
    const { source } = context.acs.verdict(node)
    if (isPort(node) || source === 'flags') askForPort(node, context, ask)
  }
  const chip = pair.filter((node) => !isPort(node) && context.acs.verdict(node).source !== 'flags')
  const [first] = chip
  if (first === undefined) return
  ask('one-chip', `${formatBus(first.at.domain, first.at.bus)}:${String(first.at.device)}`, ...chip)
}

function askForPort(node: Node, { acs, rules }: NeedContext, ask: Ask): void {
  const verdict = acs.verdict(node)
  switch (verdict.source) {
    case 'no-capability':
      ask('firmware-acs', '', node)
      ask('missing-quirk', '', node)
      return
    case 'flags':
      // The capability is there, but required bits are off: an argument did that, or can undo it.
      if (disablingArgument(rules) !== null) ask('drop-argument', '', node)
      else ask(atLeast(rules.kernel, 6, 11) ? 'config-acs' : 'newer-kernel', '', node)
      return
    case 'not-pcie':
    case 'bridge-type':
      ask('bridge-hides', '', node)
      return
    case 'quirk':
    case 'single-function':
    case 'unread':
      return
  }
}

/** The argument in use that changes ACS bits, as it is written; null when there is none. */
export function disablingArgument(rules: Rules): string | null {
  const { disableRedirect, configure } = rules.acsArguments
  if (disableRedirect.length > 0) return `pci=disable_acs_redir=${disableRedirect.join(';')}`
  if (configure.length === 0 || !atLeast(rules.kernel, 6, 11)) return null
  return `pci=config_acs=${configure.map(({ flags, device }) => `${flags}@${device}`).join(';')}`
}
