/**
 * Could the person who claims still reach the host afterwards? Judged over all members of all groups of a
 * request together: two USB controllers may each leave the other's keyboard, and both leave none.
 *
 * Network, screen and keyboard are ways in. The connection the caller came by must stay. Screen and keyboard
 * may go when another way is open, or when the claim undoes itself unless somebody confirms it, which shows
 * that there still was a way.
 */
import type { Fact } from '../../base/fact.ts'
import type { DeviceUsage, DisplayUse, NetworkUse } from '../live-host.ts'
import { notKnown, type SafetyFinding, safetyFinding } from './safety-finding.ts'

export function networkFindings({ address, networks }: DeviceUsage): readonly SafetyFinding[] {
  if (!networks.known) {
    const what = `whether ${address} carries the host's network is unknown`
    return [notKnown('CLAIM-UNKNOWN-NETWORKS', what, networks.why, [address])]
  }
  const found: SafetyFinding[] = []
  const login = of(networks.value, ['login'])
  if (login.length > 0) {
    found.push(
      safetyFinding('CLAIM-LOGIN', 'refuse', {
        fact: `${address}: ${names(login)} carries the connection by which you are logged in`,
        evidence: login.map(shown),
        about: [address],
      }),
    )
  }
  const routes = of(networks.value, ['default', 'route', 'address'])
  const [first] = routes
  if (first !== undefined) {
    const isDefault = routes.some(({ use }) => use === 'default')
    found.push(
      safetyFinding('CLAIM-ROUTE', 'refuse', {
        fact: `${address}: ${names(routes)} ${isDefault ? 'carries the default route' : 'has addresses or routes of the host'}`,
        evidence: routes.map(shown),
        remedy: `move its addresses and routes to another interface, or: ip address flush dev ${first.name}`,
        about: [address],
      }),
    )
  }
  const ports = of(networks.value, ['port'])
  const [port] = ports
  if (port !== undefined) {
    found.push(
      safetyFinding('CLAIM-PORT', 'refuse', {
        fact: `${address}: ${names(ports)} carries ${ports.map(({ detail }) => detail).join(', ')}`,
        evidence: ports.map(shown),
        remedy: `ip link set ${port.name} nomaster (bridge, bond), or delete what is built on it`,
        about: [address],
      }),
    )
  }
  if (found.length > 0) return found
  return of(networks.value, ['up']).map((use) =>
    safetyFinding('CLAIM-LINK', 'warn', {
      fact: `${address}: ${use.name} is up`,
      evidence: [shown(use)],
      remedy: `ip link set ${use.name} down`,
      about: [address],
    }),
  )
}

function of(uses: readonly NetworkUse[], kinds: readonly NetworkUse['use'][]): NetworkUse[] {
  return uses.filter(({ use }) => kinds.includes(use))
}

function names(uses: readonly NetworkUse[]): string {
  return [...new Set(uses.map(({ name }) => name))].join(', ')
}

function shown({ name, use, detail }: NetworkUse): string {
  return `${name}: ${use} ${detail}`.trim()
}

export function displayFindings({ address, displays }: DeviceUsage): readonly SafetyFinding[] {
  if (!displays.known) {
    const what = `whether ${address} shows the screen of the host is unknown`
    return [notKnown('CLAIM-UNKNOWN-DISPLAYS', what, displays.why, [address])]
  }
  const found: SafetyFinding[] = []
  const screens = displays.value.filter(({ use }) => use !== 'framebuffer')
  if (screens.length > 0) {
    found.push(
      safetyFinding('CLAIM-DISPLAY', 'refuse', {
        fact: `${address} ${screens.map(ofScreen).join(' and ')}`,
        evidence: screens.map(({ use, name }) =>
          use === 'boot-display'
            ? `/sys/bus/pci/devices/${address}/boot_vga: 1`
            : `/proc/fb: ${name}`,
        ),
        about: [address],
      }),
    )
  }
  const drawn = displays.value.filter(({ use }) => use === 'framebuffer')
  if (drawn.length > 0) {
    found.push(
      safetyFinding('CLAIM-FRAMEBUFFER', 'refuse', {
        fact: `${address}: the firmware's framebuffer ${drawn.map(({ name }) => name).join(', ')} is in its memory, so a user would not get all of it`,
        evidence: drawn.map(({ name }) => `/proc/fb: ${name}`),
        about: [address],
      }),
    )
  }
  return found
}

function ofScreen({ use, name }: DisplayUse): string {
  return use === 'boot-display'
    ? 'is the screen that the firmware started'
    : `shows the text console (${name})`
}

/** @param members of all groups of the request: those that are given away */
export function keyboardFindings(members: readonly DeviceUsage[]): readonly SafetyFinding[] {
  const found: SafetyFinding[] = []
  const lost = new Map<string, readonly string[]>()
  let left: ReadonlySet<string> | null = null
  for (const { address, keyboards } of members) {
    if (!keyboards.known) {
      const what = `whether a keyboard is behind ${address} is unknown`
      found.push(notKnown('CLAIM-UNKNOWN-KEYBOARDS', what, keyboards.why, [address]))
      continue
    }
    const { here, elsewhere } = keyboards.value
    if (here.length > 0) lost.set(address, here)
    left = intersection(left, elsewhere)
  }
  if (lost.size === 0 || (left !== null && left.size > 0)) return found
  const about = [...lost.keys()]
  return [
    ...found,
    safetyFinding('CLAIM-KEYBOARD', 'refuse', {
      fact: `the last keyboards of the host are behind ${about.join(', ')}`,
      evidence: [...lost].map(([address, here]) => `${address}: ${here.join(', ')}`),
      about,
    }),
  ]
}

function intersection(
  left: ReadonlySet<string> | null,
  names: readonly string[],
): ReadonlySet<string> {
  if (left === null) return new Set(names)
  return new Set(names.filter((name) => left.has(name)))
}

/**
 * @param members of all groups of the request: those that are given away
 * @param found what was found about their screens and keyboards, allowed or not
 */
export function wayBackFindings(
  members: readonly DeviceUsage[],
  found: readonly SafetyFinding[],
): readonly SafetyFinding[] {
  const lost = found.filter(({ code }) => LOCAL_WAYS.has(code))
  if (lost.length === 0) return []
  const about = [...new Set(lost.flatMap((finding) => finding.about))]
  const others = otherLogins(members)
  const parts = { evidence: lost.map(({ fact }) => fact), about }
  if (!others.known) {
    const fact = `whether anybody could log in without ${about.join(', ')} is unknown`
    return [
      safetyFinding('CLAIM-WAY-BACK', 'unknown', {
        ...parts,
        fact,
        evidence: [...parts.evidence, others.why],
      }),
    ]
  }
  if (others.value.length > 0) return []
  const fact =
    'screen or keyboard would go, and no network login or serial console would be left to undo it'
  return [safetyFinding('CLAIM-WAY-BACK', 'refuse', { ...parts, fact })]
}

const LOCAL_WAYS: ReadonlySet<string> = new Set([
  'CLAIM-DISPLAY',
  'CLAIM-UNKNOWN-DISPLAYS',
  'CLAIM-KEYBOARD',
  'CLAIM-UNKNOWN-KEYBOARDS',
])

/** Interfaces and consoles by which one can still log in when all members are gone. */
function otherLogins(members: readonly DeviceUsage[]): Fact<readonly string[]> {
  let left: ReadonlySet<string> | null = null
  for (const { logins } of members) {
    if (!logins.known) return logins
    left = intersection(left, logins.value.elsewhere)
  }
  return { known: true, value: [...(left ?? [])] }
}
