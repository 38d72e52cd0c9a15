/**
 * Whether a group may be taken away from the host at every boot, before anybody can say no: never when
 * the host boots from it, or waits at boot for what is on it (a file system of /etc/fstab that does not
 * come leaves most hosts in an emergency shell). Unknown is a no as well, since the price of a wrong
 * yes is a host that does not come up.
 */
import { IsogroupError } from '../../base/errors.ts'
import type { DeviceUsage, DiskUse } from '../../isolation/live-host.ts'

const WORDS: Readonly<Record<DiskUse['use'], string>> = {
  root: 'holds',
  boot: 'holds',
  mount: 'is mounted at',
  swap: 'is swap space',
  holder: 'is part of',
  zfs: 'is part of ZFS pool',
  open: 'is opened exclusively by something unseen',
}

/** @throws IsogroupError refused: the host needs a device in order to come up, or that is unknown */
export function checkPersistence(usage: readonly DeviceUsage[]): void {
  for (const { address, disks } of usage) {
    if (!disks.known) {
      throw new IsogroupError(
        'refused',
        `${address}: whether the host boots from it is unknown: ${disks.why}`,
        'run it on the host itself, as root',
      )
    }
    const [needed] = disks.value
    if (needed === undefined) continue
    throw new IsogroupError(
      'refused',
      `the host may need ${address} in order to come up: ${needed.name} ${WORDS[needed.use]} ${needed.detail}`.trimEnd(),
      'choose a group that the host can do without: isogroup ls',
    )
  }
}

/** What the host will miss from its next boot on, in words; empty when nothing was seen. */
export function persistenceNotes(usage: readonly DeviceUsage[]): readonly string[] {
  return usage.flatMap(({ address, networks, displays }) => [
    ...(networks.known
      ? distinct(networks.value).map(
          (name) => `${address}: network interface ${name} will be missing`,
        )
      : [`${address}: its network interfaces are unknown: ${networks.why}`]),
    ...(displays.known
      ? distinct(displays.value).map((name) => `${address}: display ${name} will be missing`)
      : [`${address}: its displays are unknown: ${displays.why}`]),
  ])
}

function distinct(uses: readonly { readonly name: string }[]): readonly string[] {
  return [...new Set(uses.map(({ name }) => name))]
}
