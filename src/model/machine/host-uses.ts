/**
 * What the machine's host uses its devices for: what an administrator set up and programs do, as far as it can
 * be seen in files. The model runs no file systems and no network protocols; it only tells of them, so that
 * whoever takes devices away has something to be careful about.
 *
 * Names are those of class devices ("nvme0n1p2", "eth0"): something whose device is not there is not shown.
 */

export interface HostUses {
  readonly mounts: readonly MountUse[]
  /** Block devices swapped to. */
  readonly swaps: readonly string[]
  readonly holders: readonly HolderUse[]
  readonly interfaces: readonly InterfaceUse[]
  readonly bridges: readonly BridgeUse[]
  /** Addresses of people logged in by SSH; empty = a server listens and nobody came; null = no server. */
  readonly ssh: readonly string[] | null
}

export interface MountUse {
  /** "nvme0n1p2", "dm-0" */
  readonly device: string
  readonly at: string
  /** "ext4" */
  readonly type: string
}

/** A block device built on others by the device mapper. */
export interface HolderUse {
  /** "dm-0" */
  readonly name: string
  readonly on: readonly string[]
  /** Its name below /dev/mapper. */
  readonly mapperName: string
}

export interface InterfaceUse {
  readonly name: string
  /** IPv4: "192.168.1.10" */
  readonly address: string
  readonly prefix: number
  /** Of the default route; null = no default route by it. */
  readonly gateway: string | null
}

/** A network bridge over interfaces. */
export interface BridgeUse {
  readonly name: string
  readonly ports: readonly string[]
}

export const NO_USES: HostUses = {
  mounts: [],
  swaps: [],
  holders: [],
  interfaces: [],
  bridges: [],
  ssh: null,
}

/**
 * "259:2": whole disks and partitions of the old kinds by their letters, all others from the extended range
 * (block/genhd.c), device mapper 254.
 */
export function blockNumber(name: string): string {
  const mapper = /^dm-(\d+)$/.exec(name)?.[1]
  if (mapper !== undefined) return `254:${mapper}`
  const scsi = /^sd([a-z])(\d*)$/.exec(name)
  if (scsi !== null) {
    const disk = (scsi[1] ?? 'a').charCodeAt(0) - 'a'.charCodeAt(0)
    return `8:${String(16 * disk + Number(scsi[2] ?? 0))}`
  }
  const [, controller = '0', namespace = '1', part = '0'] =
    /^nvme(\d+)n(\d+)(?:p(\d+))?$/.exec(name) ?? []
  return `259:${String(256 * Number(controller) + 16 * (Number(namespace) - 1) + Number(part))}`
}
