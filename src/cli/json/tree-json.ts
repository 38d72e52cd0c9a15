/** `tree --json`: root buses, and below each function what hangs on it. */
import type { Node, Topology } from '../../isolation/topology/topology.ts'
import { type DeviceJson, deviceJson } from './device-json.ts'

export interface TreeDeviceJson extends DeviceJson {
  /** Id of the group; of the predicted one ("~3") when the host has none. */
  readonly group: string | null
  readonly children: readonly TreeDeviceJson[]
}

export interface RootBusJson {
  /** "0000:00" */
  readonly bus: string
  /** The function that issues the DMA of everything on this bus (Intel VMD). */
  readonly host: string | null
  readonly devices: readonly TreeDeviceJson[]
}

export interface TreeJson {
  readonly host: string
  /** Whose groups are shown: the kernel's own, or predicted ones because it has none. */
  readonly groups: 'host' | 'predicted'
  readonly buses: readonly RootBusJson[]
}

export function rootBusesJson(
  topology: Topology,
  groupOf: ReadonlyMap<string, string>,
): readonly RootBusJson[] {
  const buses: RootBusJson[] = []
  for (const bus of topology.buses.values()) {
    const devices = bus.nodes.filter((node) => node.parent === null)
    if (devices.length === 0) continue
    buses.push({
      bus: bus.name,
      host: bus.host?.address ?? null,
      devices: devices.map((node) => treeDevice(node, groupOf)),
    })
  }
  return buses
}

function treeDevice(node: Node, groupOf: ReadonlyMap<string, string>): TreeDeviceJson {
  return {
    ...deviceJson(node.fn),
    group: groupOf.get(node.address) ?? null,
    children: node.children.map((child) => treeDevice(child, groupOf)),
  }
}
