/**
 * Every registered device that no other device holds: where /sys/devices begins, and the members of each
 * class for /sys/class (drivers/base/class.c). Devices without a parent may lie deeper than the top
 * (/sys/devices/virtual/vfio/9); the directories above them are there as long as something is in them.
 */
import { type Directory, relativeLink } from '../sysfs/node.ts'
import type { Attribute, Device } from './device.ts'
import { deviceDirectory } from './device-directory.ts'

/** A directory above devices without a parent. */
type Level = Map<string, Level | Device>

export class Devices {
  /** Below /devices. */
  readonly #top: Level = new Map()
  readonly #classes = new Map<string, Map<string, Device>>()
  /** Devices with a node, in the order they came. */
  readonly #nodes = new Set<Device>()

  add(device: Device): void {
    if (device.node !== null) this.#nodes.add(device)
    if (device.parent === null) place(this.#top, namesOf(device), device)
    if (device.className === null) return
    const members = this.#classes.get(device.className) ?? new Map<string, Device>()
    members.set(device.name, device)
    this.#classes.set(device.className, members)
  }

  delete(device: Device): void {
    this.#nodes.delete(device)
    if (device.parent === null) displace(this.#top, namesOf(device))
    if (device.className !== null) this.#classes.get(device.className)?.delete(device.name)
  }

  /** A class exists from the first use on, as its module registers it. */
  addClass(name: string): void {
    if (!this.#classes.has(name)) this.#classes.set(name, new Map())
  }

  /** Members of a class, by name. */
  ofClass(name: string): ReadonlyMap<string, Device> {
    return this.#classes.get(name) ?? new Map()
  }

  /** /sys/dev/block and /sys/dev/char: devices with a node, by its number. */
  numbered(kind: 'block' | 'char'): Directory {
    const devices = (): readonly Device[] =>
      [...this.#nodes].filter(({ className }) => (className === 'block') === (kind === 'block'))
    return {
      kind: 'directory',
      list: () => devices().map(({ node }) => node?.devt ?? ''),
      find: (name) => {
        const device = devices().find(({ node }) => node?.devt === name)
        return device === undefined ? undefined : relativeLink(`/dev/${kind}`, device.path)
      },
    }
  }

  /** /sys/devices @param core see core-attributes.ts */
  directory(core: readonly Attribute[]): Directory {
    return levelDirectory(core, this.#top)
  }

  /** /sys/class */
  classes(): Directory {
    return {
      kind: 'directory',
      list: () => [...this.#classes.keys()],
      find: (name) => {
        const members = this.#classes.get(name)
        return members === undefined ? undefined : classDirectory(name, members)
      },
    }
  }
}

/** "/devices/virtual/vfio/9": virtual, vfio, 9. */
function namesOf({ path }: Device): readonly string[] {
  return path.split('/').slice(2)
}

function place(level: Level, [name = '', ...below]: readonly string[], device: Device): void {
  if (below.length === 0) {
    level.set(name, device)
    return
  }
  const known = level.get(name)
  const next: Level = known instanceof Map ? known : new Map<string, Level | Device>()
  level.set(name, next)
  place(next, below, device)
}

function displace(level: Level, [name = '', ...below]: readonly string[]): void {
  const found = level.get(name)
  if (found instanceof Map) displace(found, below)
  if (!(found instanceof Map) || found.size === 0) level.delete(name)
}

function levelDirectory(core: readonly Attribute[], level: Level): Directory {
  return {
    kind: 'directory',
    list: () => [...level.keys()],
    find: (name) => {
      const found = level.get(name)
      if (found === undefined) return undefined
      return found instanceof Map ? levelDirectory(core, found) : deviceDirectory(core, found)
    },
  }
}

function classDirectory(name: string, members: ReadonlyMap<string, Device>): Directory {
  return {
    kind: 'directory',
    list: () => [...members.keys()],
    find: (member) => {
      const device = members.get(member)
      return device === undefined ? undefined : relativeLink(`/class/${name}`, device.path)
    },
  }
}
