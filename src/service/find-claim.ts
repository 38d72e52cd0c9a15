/** Which claim is meant: by its id, by the beginning of one, or by a device of its groups. */
import { IsogroupError } from '../base/errors.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import { formatAddress, parseLooseAddress } from '../pci/address.ts'
import { type ClaimRecord, heldAddresses } from './claim-record.ts'
import type { ReadableClaim, StoredClaim } from './claim-store.ts'

const NEXT = 'isogroup claims lists them'
/** Fewer digits of an id are a slip rather than a name. */
const DIGITS_MIN = 4

/** @throws IsogroupError not-found, ambiguous, io (the record cannot be read) */
export function findClaim(
  all: readonly StoredClaim[],
  host: LiveHost,
  selector: string,
): ReadableClaim {
  const address = parseLooseAddress(selector)
  const found = address === null ? byId(all, selector) : byDevice(all, host, formatAddress(address))
  const [first, second] = found
  if (first === undefined) {
    throw new IsogroupError('not-found', `no claim holds "${printable(selector)}"`, NEXT)
  }
  if (second !== undefined) {
    const ids = found.map(({ id }) => id).join(', ')
    throw new IsogroupError(
      'ambiguous',
      `"${printable(selector)}" is the beginning of ${ids}`,
      NEXT,
    )
  }
  return readable(first)
}

/** @throws IsogroupError io */
function readable(stored: StoredClaim): ReadableClaim {
  if (stored.record !== null) return stored
  const { id, damage } = stored
  throw new IsogroupError(
    'io',
    `the record of claim ${id} is damaged, so what to give back is not known: ${damage}`,
    `isogroup show DEVICE tells where a device is; then remove claim-${id}.journal and .json`,
  )
}

function byId(all: readonly StoredClaim[], text: string): readonly StoredClaim[] {
  const exact = all.filter(({ id }) => id === text)
  if (exact.length > 0 || text.length < DIGITS_MIN) return exact
  return all.filter(({ id }) => id.startsWith(text))
}

/** A device that a claim holds, or any other of the group that one is in. */
function byDevice(
  all: readonly StoredClaim[],
  host: LiveHost,
  address: string,
): readonly StoredClaim[] {
  const bootId = host.bootId()
  const current = all.filter(({ record }) => record?.bootId === bootId)
  const direct = current.filter(({ record }) => isHeld(record, address))
  if (direct.length > 0) return direct
  const mates = host.groupsOf([address]).flatMap(({ members }) => members)
  return current.filter(({ record }) => mates.some((mate) => isHeld(record, mate.address)))
}

function isHeld(record: ClaimRecord | null, address: string): boolean {
  return record !== null && heldAddresses(record).includes(address)
}

const TEXT_MAX = 60

function printable(text: string): string {
  return text.slice(0, TEXT_MAX).replaceAll(/[^\x20-\x7e]/g, '?')
}
