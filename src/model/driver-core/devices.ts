/**
 * Every registered device that no bus holds at its root: where /sys/devices begins, and the members of
 * each class for /sys/class (drivers/base/class.c).
 */
import { type Directory, relativeLink } from '../sysfs/node.ts'
import type { Attribute, Device } from './device.ts'
import { deviceDirectory } from './device-directory.ts'

export class Devices {
  /** Devices without a parent, by path. */
  readonly #roots = new Map<string, Device>()
  readonly #classes = new Map<string, Map<string, Device>>()

  add(device: Device): void {
    if (device.parent === null) this.#roots.set(device.path, device)
    if (device.className === null) return
    const members = this.#classes.get(device.className) ?? new Map<string, Device>()
    members.set(device.name, device)
    this.#classes.set(device.className, members)
  }

  delete(device: Device): void {
    this.#roots.delete(device.path)
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

  /** /sys/devices @param core see core-attributes.ts */
  directory(core: readonly Attribute[]): Directory {
    return this.#level(core, '/devices')
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

  /** Directories above the roots ("virtual", "virtual/vfio") exist as long as something is in them. */
  #level(core: readonly Attribute[], path: string): Directory {
    const below = (): Map<string, Device | null> => {
      const names = new Map<string, Device | null>()
      for (const [at, device] of this.#roots) {
        if (!at.startsWith(`${path}/`)) continue
        const [name = '', ...rest] = at.slice(path.length + 1).split('/')
        names.set(name, rest.length === 0 ? device : null)
      }
      return names
    }
    return {
      kind: 'directory',
      list: () => [...below().keys()],
      find: (name) => {
        const own = this.#roots.get(`${path}/${name}`)
        if (own !== undefined) return deviceDirectory(core, own)
        return below().has(name) ? this.#level(core, `${path}/${name}`) : undefined
      },
    }
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
