/**
 * What somebody asks for: groups, the driver that should have them, and the user who should have the driver.
 * Nothing of it is trusted: names and numbers come from a command line.
 */

export interface ClaimRequest {
  /** One entry per group: addresses of any of its members. Several entries are one transaction. */
  readonly targets: readonly (readonly string[])[]
  /** A VFIO driver by its name on the bus: "vfio-pci". */
  readonly driver: string
  /** Who gets the group's node; null = root, or whoever has it now. */
  readonly owner: ClaimOwner | null
  /** For other people, as given. */
  readonly reason: string | null
  /** Codes of findings that are accepted: "CLAIM-OPEN". */
  readonly allow: readonly string[]
  /** Undone unless confirmed within so many seconds; null = no such limit. */
  readonly confirmSeconds: number | null
}

export interface ClaimOwner {
  readonly uid: number
  readonly gid: number
  /** "alice"; the number as text where it has no name. */
  readonly name: string
}

/** What earlier claims hold, as far as a new plan must know. */
export interface HeldClaim {
  readonly id: string
  /** Every function that it covers, in any state. */
  readonly addresses: readonly string[]
  readonly driver: string
  readonly owner: ClaimOwner | null
  readonly reason: string | null
}
