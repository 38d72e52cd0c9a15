/**
 * Who may do what with a file: generic_permission() and setattr_prepare() (fs/namei.c, fs/attr.c).
 *
 * Exactly one of the three sets of bits decides, the first that fits: an owner without a bit is refused
 * even where everybody else has it. Capabilities come after that.
 */
import { Errno } from '../errno.ts'
import type { Capability, Credentials } from '../process.ts'

export const READ = 4
export const WRITE = 2
export const SEARCH = 1

export interface Owned {
  /** Permission bits: 0o600. */
  readonly mode: number
  /** Absent = root. */
  readonly uid?: number
  readonly gid?: number
}

/** chown() with this id leaves the id as it is. */
const UNCHANGED = 0xffff_ffff

/** Whether the mode has every wanted bit for this process; no capability is asked. */
export function modeAllows(file: Owned, who: Credentials, wanted: number): boolean {
  return (bitsFor(file, who) & wanted) === wanted
}

/** The main group of a process; where nothing is said, every user has a group of the same number. */
export function groupOf({ uid, gid }: Credentials): number {
  return gid ?? uid
}

function bitsFor({ mode, uid = 0, gid = 0 }: Owned, who: Credentials): number {
  if (who.uid === uid) return mode >> 6
  return groupOf(who) === gid ? mode >> 3 : mode
}

/**
 * The owner after chown(). Only who may give files away may name another user; an owner may name the own group.
 * @throws Errno EPERM
 */
export function ownerAfter(
  file: Owned,
  to: { readonly uid: number; readonly gid: number },
  who: Credentials,
): { readonly uid: number; readonly gid: number } {
  const now = { uid: file.uid ?? 0, gid: file.gid ?? 0 }
  const uid = to.uid === UNCHANGED ? now.uid : to.uid
  const gid = to.gid === UNCHANGED ? now.gid : to.gid
  const isOwner = who.uid === now.uid
  const mayUser = to.uid === UNCHANGED || (isOwner && uid === now.uid)
  const mayGroup = to.gid === UNCHANGED || (isOwner && (gid === groupOf(who) || gid === now.gid))
  if (!(mayUser && mayGroup)) demandCapability(who, 'CAP_CHOWN')
  return { uid, gid }
}

/** @throws Errno EPERM: only the owner, or who may act as one, changes the mode */
export function demandOwner(file: Owned, who: Credentials): void {
  if (who.uid !== (file.uid ?? 0)) demandCapability(who, 'CAP_FOWNER')
}

function demandCapability({ capabilities }: Credentials, capability: Capability): void {
  if (!capabilities.has(capability)) throw new Errno('EPERM')
}
