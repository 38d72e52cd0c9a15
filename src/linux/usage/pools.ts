/**
 * Members of imported ZFS pools. ZFS opens its disks without telling the block layer who holds them, so sysfs
 * shows no holder; what is left are the names of the imported pools (/proc/spl/kstat/zfs) and what udev found
 * on each device (/run/udev/data/bMAJOR:MINOR: ID_FS_TYPE=zfs_member, ID_FS_LABEL=POOL).
 */
import { type Fact, known, unknown } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readList, readText } from '../reading.ts'
import type { BlockDevices } from './block-devices.ts'

export interface PoolMember {
  readonly name: string
  readonly pool: string
}

const POOLS = '/proc/spl/kstat/zfs'
const UDEV = '/run/udev/data'

/** Unknown when pools are imported and nobody tells what is on the disks. */
export function readPools(kernel: KernelView, devices: BlockDevices): Fact<readonly PoolMember[]> {
  const entries = readList(kernel, POOLS)
  if (!entries.known) return entries
  const pools = new Set((entries.value ?? []).filter((name) => isPool(kernel, name)))
  if (pools.size === 0) return known([])
  const members: PoolMember[] = []
  for (const { name, number } of devices.values()) {
    const record = readText(kernel, `${UDEV}/b${number}`)
    if (!record.known) return record
    if (record.value === null) {
      return unknown(`ZFS pools are imported, and ${UDEV} does not tell what is on ${name}`)
    }
    if (!/^E:ID_FS_TYPE=zfs_member$/m.test(record.value)) continue
    const pool = /^E:ID_FS_LABEL=(.*)$/m.exec(record.value)?.[1] ?? ''
    // A label that is no imported pool belongs to one that was exported.
    if (pool === '' || pools.has(pool)) members.push({ name, pool: pool === '' ? '?' : pool })
  }
  return known(members)
}

/** Statistics of the module lie beside the directories of the pools. */
function isPool(kernel: KernelView, name: string): boolean {
  return kernel.exists(`${POOLS}/${name}/state`) || kernel.exists(`${POOLS}/${name}/io`)
}
