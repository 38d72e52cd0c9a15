/**
 * The few things that are ever done to a host, each one small, checkable and reversible. How they are
 * written to a kernel is known in linux/ alone.
 */

export type Action =
  /** driver_override; null clears it. */
  | { readonly kind: 'set-override'; readonly address: string; readonly driver: string | null }
  /** Takes the device from the driver it is on now. May block as long as somebody uses it. */
  | { readonly kind: 'unbind'; readonly address: string; readonly driver: string }
  /** Offers the device to the drivers of its bus; its override decides which. */
  | { readonly kind: 'probe'; readonly address: string; readonly driver: string }
  /** Offers the device to the drivers of its bus, as the kernel does with a new one: any may take it, or none. */
  | { readonly kind: 'offer'; readonly address: string }
  /** Whether new virtual functions of this physical function are offered to drivers. */
  | { readonly kind: 'set-autoprobe'; readonly address: string; readonly on: boolean }
  /** Owner and mode of the group's node. */
  | {
      readonly kind: 'set-node'
      readonly group: string
      readonly uid: number
      readonly gid: number
      readonly mode: number
    }

/** The host said no: errno of the write, or "ETIMEDOUT" when it did not come back in time. */
export class ActionError extends Error {
  readonly action: Action
  /** Errno by name: "EBUSY". */
  readonly code: string

  constructor(action: Action, code: string) {
    super(`${describeAction(action)}: ${code}`)
    this.name = 'ActionError'
    this.action = action
    this.code = code
  }
}

/** One line for a person: "unbind 0000:01:00.0 from nvidia". */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'set-override':
      return action.driver === null
        ? `clear driver_override of ${action.address}`
        : `set driver_override of ${action.address} to ${action.driver}`
    case 'unbind':
      return `unbind ${action.address} from ${action.driver}`
    case 'probe':
      return `offer ${action.address} to ${action.driver}`
    case 'offer':
      return `offer ${action.address} to all drivers`
    case 'set-autoprobe':
      return `switch driver probing of new virtual functions of ${action.address} ${action.on ? 'on' : 'off'}`
    case 'set-node':
      return `give /dev/vfio/${action.group} to ${String(action.uid)}:${String(action.gid)} with mode ${action.mode.toString(8)}`
  }
}
