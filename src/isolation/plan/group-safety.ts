/**
 * What speaks against giving the group away as a whole: members that stay and keep users out, whoever has it
 * already, fixed memory, and walls that are thinner than the policy wants.
 *
 * The policy for users is translation, dma, p2p and msi = yes (iommu_ops, in the words of the mail this project
 * began with); kernel drivers, which are trusted, do with less. Unknown counts as no.
 */
import type { AssessedGroup } from '../assess/assess.ts'
import { bridgeKind } from '../assess/bridge.ts'
import { driverRole } from '../assess/driver-roles.ts'
import { isFixed } from '../assess/strength.ts'
import type { Program } from '../live-host.ts'
import type { Fact } from '../../base/fact.ts'
import { hex } from '../../pci/address.ts'
import type { Node } from '../topology/topology.ts'
import { type Fate, fateOf, isChipset } from './member.ts'
import type { ClaimRequest, HeldClaim } from './request.ts'
import type { SafetyCode } from './safety-codes.ts'
import { notKnown, type SafetyFinding, safetyFinding } from './safety-finding.ts'
import { programLine, programNames } from './use-findings.ts'

/** Members that stay must not be in the way of a user, by the rule of the host's kernel. */
export function stayingFindings(group: AssessedGroup, driver: string): readonly SafetyFinding[] {
  const found: SafetyFinding[] = []
  const moves = new Set(
    group.members.filter((node) => fateOf(node, driver) !== 'stays').map(({ address }) => address),
  )
  if (moves.size === 0) {
    found.push(
      safetyFinding('CLAIM-BRIDGES-ONLY', 'refuse', {
        fact: `group ${group.id} has nothing that could be given to a user: ${[...group.group.members].join(', ')}`,
        about: group.group.members,
      }),
    )
  }
  for (const { device, driver: blocker, reason } of group.viability.blockers) {
    if (moves.has(device)) continue
    const node = group.members.find(({ address }) => address === device)
    const bus = node === undefined ? busOf(group, device) : 'pci'
    found.push(
      safetyFinding(node === undefined ? 'CLAIM-OTHER' : 'CLAIM-BRIDGE', 'refuse', {
        fact: `${device} stays on ${blocker}: ${reason}`,
        evidence: [`/sys/bus/${bus}/devices/${device}/driver: ${blocker}`],
        remedy: `echo ${device} > /sys/bus/${bus}/drivers/${blocker}/unbind`,
        about: [device],
      }),
    )
  }
  return [...found, ...openQuestions(group, moves)]
}

function busOf({ others }: AssessedGroup, name: string): string {
  const bus = others.find((other) => other.name === name)?.bus
  return bus?.known === true ? bus.value : '*'
}

/** What could still turn out to be in the way. */
function openQuestions(group: AssessedGroup, moves: ReadonlySet<string>): SafetyFinding[] {
  const found: SafetyFinding[] = []
  const unlisted = new Set(group.unlisted)
  for (const { device, why } of group.viability.unknowns) {
    // Being moved answers what its driver is, if the driver is known at all.
    const node = group.members.find(({ address }) => address === device)
    if (moves.has(device) && node?.fn.driver.known === true) continue
    const code = unlisted.has(device) ? 'CLAIM-UNKNOWN-MEMBER' : 'CLAIM-UNKNOWN-DRIVER'
    found.push(notKnown(code, `whether ${device} keeps users out is unknown`, why, [device]))
  }
  for (const node of group.members) {
    if (bridgeKind(node) !== 'unknown') continue
    const what = `whether ${node.address} is a bridge or a device is unknown`
    found.push(notKnown('CLAIM-UNKNOWN-MEMBER', what, 'class and header type', [node.address]))
  }
  return found
}

/** Members that the request would take from where they serve more than themselves, or finds taken already. */
export function takenFindings(
  group: AssessedGroup,
  driver: string,
  claims: readonly HeldClaim[],
): readonly SafetyFinding[] {
  const held = new Set(claims.flatMap(({ addresses }) => addresses))
  return group.members.flatMap((node) => {
    const fate = fateOf(node, driver)
    const now = node.fn.driver
    if (!now.known || now.value === null) return []
    if (fate === 'move' && isChipset(node)) {
      return [
        safetyFinding('CLAIM-CHIPSET', 'refuse', {
          fact: `${node.address} is a part of the chipset on ${now.value}`,
          evidence: [classEvidence(node)],
          about: [node.address],
        }),
      ]
    }
    return isForeign(fate, now.value) && !held.has(node.address)
      ? [foreign(node.address, now.value)]
      : []
  })
}

function classEvidence({ address, fn }: Node): string {
  const code = fn.classCode.known ? `0x${hex(fn.classCode.value, 6)}` : '?'
  const name = fn.className === null ? '' : ` (${fn.className})`
  return `/sys/bus/pci/devices/${address}/class: ${code}${name}`
}

function isForeign(fate: Fate, driver: string): boolean {
  return fate !== 'stays' && driverRole(driver) === 'user'
}

function foreign(address: string, driver: string): SafetyFinding {
  return safetyFinding('CLAIM-FOREIGN', 'warn', {
    fact: `${address} is on ${driver} already, by no claim: release will leave it there`,
    evidence: [`/sys/bus/pci/devices/${address}/driver: ${driver}`],
    about: [address],
  })
}

/** @param idle whether the plan has nothing to do for the group: then users of it are no obstacle */
export function ownedFindings(
  group: string,
  users: Fact<readonly Program[]>,
  idle: boolean,
): readonly SafetyFinding[] {
  if (!users.known) {
    const what = `whether a program has group ${group} open is unknown`
    return [notKnown('CLAIM-UNKNOWN-USERS', what, users.why, [group])]
  }
  if (users.value.length === 0) return []
  return [
    safetyFinding('CLAIM-OWNED', idle ? 'warn' : 'refuse', {
      fact: `group ${group} is owned by ${programNames(users.value)}`,
      evidence: users.value.map(programLine),
      about: [group],
    }),
  ]
}

/** An earlier claim of the same functions for the same owner is met by doing nothing, if nothing is amiss. */
export function claimedFindings(
  addresses: readonly string[],
  request: ClaimRequest,
  claims: readonly HeldClaim[],
  idle: boolean,
): readonly SafetyFinding[] {
  return claims.flatMap((claim) => {
    const shared = claim.addresses.filter((address) => addresses.includes(address))
    if (shared.length === 0) return []
    const same = idle && isSame(claim, addresses, request)
    return [
      safetyFinding('CLAIM-CLAIMED', same ? 'warn' : 'refuse', {
        fact: `${shared.join(', ')} ${shared.length === 1 ? 'is' : 'are'} claimed already${claim.owner === null ? '' : ` for ${claim.owner.name}`} (claim ${claim.id}${claim.reason === null ? '' : `: ${claim.reason}`})`,
        evidence: [`isogroup claims: ${claim.id}`],
        remedy: same ? 'none' : `isogroup release ${claim.id}, then claim again`,
        about: shared,
      }),
    ]
  })
}

function isSame(claim: HeldClaim, addresses: readonly string[], request: ClaimRequest): boolean {
  return (
    claim.driver === request.driver &&
    claim.owner?.uid === request.owner?.uid &&
    addresses.every((address) => claim.addresses.includes(address))
  )
}

export function fixedMemoryFindings({ id, group }: AssessedGroup): readonly SafetyFinding[] {
  const { reserved } = group
  const place = `/sys/kernel/iommu_groups/${id}/reserved_regions`
  if (!reserved.known) {
    const what = `whether firmware demands fixed memory mappings for group ${id} is unknown`
    return [notKnown('CLAIM-UNKNOWN-RMRR', what, `${place}: ${reserved.why}`, [id])]
  }
  const fixed = reserved.value.filter(isFixed)
  if (fixed.length === 0) return []
  return [
    safetyFinding('CLAIM-RMRR', 'refuse', {
      fact: `firmware demands fixed memory mappings for group ${id}: VFIO refuses it`,
      evidence: fixed.map(({ start, end, kind }) => `${place}: ${start} ${end} ${kind}`),
      about: [id],
    }),
  ]
}

/** What a user's group must have. */
const POLICY = [
  {
    bit: 'translation',
    code: 'CLAIM-STRENGTH-TRANSLATION',
    open: 'CLAIM-UNKNOWN-TRANSLATION',
    no: 'its DMA is not translated',
  },
  {
    bit: 'dma',
    code: 'CLAIM-STRENGTH-DMA',
    open: 'CLAIM-UNKNOWN-DMA',
    no: 'it has no address space of its own',
  },
  {
    bit: 'p2p',
    code: 'CLAIM-STRENGTH-P2P',
    open: 'CLAIM-UNKNOWN-P2P',
    no: 'its members can reach devices of other groups past the IOMMU',
  },
  {
    bit: 'msi',
    code: 'CLAIM-STRENGTH-MSI',
    open: 'CLAIM-UNKNOWN-MSI',
    no: "its members can forge other devices' interrupts",
  },
] as const satisfies readonly { code: SafetyCode; open: SafetyCode; bit: string; no: string }[]

export function strengthFindings({ id, strength }: AssessedGroup): readonly SafetyFinding[] {
  return POLICY.flatMap(({ bit, code, open, no }) => {
    const { verdict, evidence } = strength[bit]
    if (verdict === 'yes') return []
    if (verdict === 'unknown') {
      return [notKnown(open, `group ${id}: strength ${bit} is unknown`, evidence, [id])]
    }
    const fact = `group ${id} is weaker than users need (${bit}): ${no}`
    return [safetyFinding(code, 'refuse', { fact, evidence: [evidence], about: [id] })]
  })
}
