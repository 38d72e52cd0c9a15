/**
 * The few rules of a kernel that claims rest on, for tests without a kernel: overrides decide who may have a
 * device, an offer says yes whatever comes of it, and a group has a node as long as a VFIO driver has a member.
 */
import { type Action, ActionError } from './action.ts'
import type { DeviceState, GroupState, NodeState } from './state.ts'

export interface SimulatedHost {
  state(addresses: readonly string[]): GroupState
  /** @throws ActionError as the kernel would */
  perform(action: Action): void
  /** Somebody else offers every device to every driver. */
  probeAll(): void
  /** Drivers that refuse every device. */
  readonly refusing: Set<string>
}

export const VFIO = 'vfio-pci'
const NEW_NODE: NodeState = { uid: 0, gid: 0, mode: 0o600 }

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** @param home the driver that takes a device when no override is set, by address */
export function simulatedHost(
  initial: GroupState,
  home: Readonly<Record<string, string>>,
): SimulatedHost {
  const devices = new Map<string, Mutable<DeviceState>>(
    initial.devices.map((device) => [device.address, { ...device }]),
  )
  const refusing = new Set<string>()
  let node = initial.node
  const settleNode = (): void => {
    const isNeeded = [...devices.values()].some(({ driver }) => driver === VFIO)
    node = isNeeded ? (node ?? NEW_NODE) : null
  }
  const offer = (device: Mutable<DeviceState>): void => {
    if (!device.present || device.driver !== null) return
    const driver = device.override ?? home[device.address] ?? null
    if (driver === null || driver === 'none' || refusing.has(driver)) return
    device.driver = driver
    settleNode()
  }
  const deviceOf = (action: Exclude<Action, { kind: 'set-node' }>): Mutable<DeviceState> => {
    const device = devices.get(action.address)
    if (device?.present !== true) throw new ActionError(action, 'ENOENT')
    return device
  }
  return {
    refusing,
    state: (addresses) => ({
      group: initial.group,
      devices: addresses.flatMap((address) => {
        const device = devices.get(address)
        return device === undefined ? [] : [{ ...device }]
      }),
      node,
    }),
    perform(action) {
      switch (action.kind) {
        case 'set-override':
          deviceOf(action).override = action.driver
          return
        case 'unbind': {
          const device = deviceOf(action)
          if (device.driver !== action.driver) throw new ActionError(action, 'ENODEV')
          device.driver = null
          settleNode()
          return
        }
        case 'probe':
        case 'offer':
          offer(deviceOf(action))
          return
        case 'set-autoprobe':
          deviceOf(action).autoprobe = action.on
          return
        case 'set-node':
          if (node === null || action.group !== initial.group)
            throw new ActionError(action, 'ENOENT')
          node = { uid: action.uid, gid: action.gid, mode: action.mode }
      }
    },
    probeAll() {
      for (const device of devices.values()) offer(device)
    },
  }
}
