/**
 * VF tokens: a physical function and its virtual ones can be given to different users only if these
 * trust each other, which they show by knowing a common UUID (vfio_pci_validate_vf_token,
 * drivers/vfio/pci/vfio_pci_core.c).
 */
import { Errno } from '../../errno.ts'

const OPTION = 'vf_token='
const UUID_LENGTH = 36
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The token of a physical function. */
export interface VfToken {
  /** In lower case; null = the random one it starts with, which nobody knows. */
  uuid: string | null
  /** Virtual functions that are open. */
  users: number
}

/** What GET_DEVICE_FD was called with: "0000:04:10.0 vf_token=<uuid>". */
interface Request {
  /** Lower case; null = none given. */
  readonly token: string | null
}

/**
 * Whether the text names the device, and what follows the name.
 * @throws Errno EINVAL for an option that is unknown, repeated or malformed
 */
export function parseRequest(deviceName: string, text: string): Request | null {
  if (!text.startsWith(deviceName)) return null
  let rest = text.slice(deviceName.length)
  if (rest !== '' && !rest.startsWith(' ')) return null
  let token: string | null = null
  for (;;) {
    rest = rest.replace(/^ +/, '')
    if (rest === '') return { token }
    if (token !== null || !rest.startsWith(OPTION)) throw new Errno('EINVAL', `"${rest}"`)
    token = rest.slice(OPTION.length, OPTION.length + UUID_LENGTH)
    if (!UUID.test(token)) throw new Errno('EINVAL', `"${token}" is no UUID`)
    token = token.toLowerCase()
    rest = rest.slice(OPTION.length + UUID_LENGTH)
  }
}

/** Where a function stands: a virtual one, a physical one with its token, or neither. */
export type TokenRole =
  | { readonly kind: 'virtual'; readonly physical: VfToken | null }
  | { readonly kind: 'physical'; readonly own: VfToken }
  | { readonly kind: 'neither' }

/** @param log with the device's name in front @throws Errno EACCES, EINVAL */
export function validateToken(
  role: TokenRole,
  given: string | null,
  log: (text: string) => void,
): void {
  const refuse = (code: 'EACCES' | 'EINVAL', text: string): never => {
    log(text)
    throw new Errno(code, text)
  }
  switch (role.kind) {
    case 'virtual':
      if (role.physical === null) {
        if (given === null) return
        return refuse('EINVAL', 'VF token incorrectly provided, PF not bound to vfio-pci')
      }
      if (given === null) return refuse('EACCES', 'VF token required to access device')
      if (given !== role.physical.uuid) {
        return refuse('EACCES', 'Incorrect VF token provided for device')
      }
      return
    case 'physical':
      if (role.own.users === 0) {
        if (given !== null) role.own.uuid = given
        return
      }
      if (given === null) return refuse('EACCES', 'VF token required to access device')
      if (given !== role.own.uuid) {
        return refuse('EACCES', 'Incorrect VF token provided for device')
      }
      return
    case 'neither':
      if (given !== null) refuse('EINVAL', 'VF token incorrectly provided, not a PF or VF')
  }
}

/** 16 bytes as DEVICE_FEATURE passes them. */
export function formatUuid(bytes: Uint8Array): string {
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join('-')
}
