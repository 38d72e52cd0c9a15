/**
 * What the host does with the disks behind a function: everything that stands on them, several layers up,
 * is followed to what is mounted, swapped to or held.
 */
import { type Fact, known, mapFact, unknown } from '../../base/fact.ts'
import type { DiskUse } from '../../isolation/live-host.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { type BlockDevice, type BlockDevices, readBlockDevices } from './block-devices.ts'
import { type DiskUses, readDiskUses } from './disk-uses.ts'
import { isBelow } from './pci-path.ts'

export interface Disks {
  readonly devices: BlockDevices
  readonly uses: DiskUses
}

/** Read once for any number of functions. */
export function readDisks(kernel: KernelView): Fact<Disks> {
  const devices = readBlockDevices(kernel)
  if (!devices.known) return devices
  return mapFact(readDiskUses(kernel, devices.value), (uses) => ({ devices: devices.value, uses }))
}

/** Uses of all disks behind one function; unknown when none was seen and not all could be looked at. */
export function disksOf(address: string, { devices, uses }: Disks): Fact<readonly DiskUse[]> {
  const own = [...devices.values()].filter(({ path }) => isBelow(path, address))
  const found = own.flatMap((device) => usesAbove(device, devices, uses))
  if (found.length === 0 && own.length > 0 && uses.incomplete !== null) {
    return unknown(uses.incomplete)
  }
  return known(withoutRepeats(found))
}

interface Step {
  readonly device: BlockDevice
  /** Holders between the disk and this device, lowest first. */
  readonly through: readonly string[]
}

function usesAbove(disk: BlockDevice, devices: BlockDevices, uses: DiskUses): DiskUse[] {
  const found: DiskUse[] = []
  const visited = new Set([disk.name])
  const steps: Step[] = [{ device: disk, through: [] }]
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
    const { device, through } = step
    for (const { use, detail } of uses.uses.get(device.name) ?? []) {
      found.push({ name: disk.name, use, detail: withWay(detail, through) })
    }
    const loops = (uses.loops.get(device.name) ?? []).map((name) => ({ name, kind: 'file' }))
    for (const { name, kind } of [...device.above, ...loops]) {
      const next = devices.get(name)
      const shown = next === undefined || next.label === '' ? name : `${name} (${next.label})`
      if (kind === 'holder' && through.length === 0) {
        found.push({ name: disk.name, use: 'holder', detail: shown })
      }
      if (next === undefined || visited.has(name)) continue
      visited.add(name)
      steps.push({ device: next, through: kind === 'part' ? through : [...through, shown] })
    }
  }
  return found
}

function withWay(detail: string, through: readonly string[]): string {
  return through.length === 0 ? detail : `${detail} (through ${through.join(', ')})`
}

/** A partition says what its disk says too: the partition's word is the more exact one. */
function withoutRepeats(found: readonly DiskUse[]): DiskUse[] {
  const byUse = new Map<string, DiskUse>()
  for (const use of found) {
    const key = `${use.use} ${use.detail}`
    const before = byUse.get(key)
    if (before === undefined || use.name.startsWith(before.name)) byUse.set(key, use)
  }
  return [...byUse.values()]
}
