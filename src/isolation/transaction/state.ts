/**
 * What a claim changes and a release gives back, of one group, read at one moment: everything that is
 * compared, recorded and restored. All of it can be read again at any time, which is why a crash at any
 * point can be recovered from: the facts are on the host, and the journal only says what was wanted.
 */

/** One function of a group, as far as ownership is concerned. */
export interface DeviceState {
  /** "0000:01:00.0" */
  readonly address: string
  /** False when the function is not on the host any more: all else is null then. */
  readonly present: boolean
  /** Name of the bound driver. */
  readonly driver: string | null
  /** driver_override; null when none is set. */
  readonly override: string | null
  /** sriov_drivers_autoprobe; null for functions without SR-IOV. */
  readonly autoprobe: boolean | null
}

/** Owner and mode of /dev/vfio/N. */
export interface NodeState {
  readonly uid: number
  readonly gid: number
  /** Permission bits: 0o600. */
  readonly mode: number
}

/** The members of one group that a claim touches (never bridges), and its node. */
export interface GroupState {
  /** Id of the group now; null when no listed member is in one. */
  readonly group: string | null
  readonly devices: readonly DeviceState[]
  /** null when there is no node: no member is on a VFIO driver. */
  readonly node: NodeState | null
}
