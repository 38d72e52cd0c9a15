/**
 * A device's directory in sysfs: files of the core, of its bus, of its driver, links to what it belongs
 * to, and its children, those of a class in a directory of the class's name.
 *
 *     /sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/
 *         uevent driver_override power/ driver -> subsystem -> iommu_group ->
 *         net/eth0/  uevent power/ subsystem -> device ->
 */
import { type Directory, type File, type Node, relativeLink } from '../sysfs/node.ts'
import type { Attribute, Device } from './device.ts'
import { powerDirectory } from './power-directory.ts'

/** @param core files of every device, see core-attributes.ts */
export function deviceDirectory(core: readonly Attribute[], device: Device): Directory {
  return {
    kind: 'directory',
    list: () => [...new Set(names(core, device))],
    find: (name) => find(core, device, name),
  }
}

function* attributes(core: readonly Attribute[], device: Device): Generator<Attribute> {
  yield* core
  for (const table of device.attributes) yield* table
  // device_remove() takes them away before the driver lets go, as it does the link.
  if (device.links.has('driver')) yield* device.driver?.attributes ?? []
}

function* names(core: readonly Attribute[], device: Device): Generator<string> {
  for (const attribute of attributes(core, device)) {
    if (attribute.visible?.(device) !== false) yield attribute.name
  }
  yield* device.links.keys()
  if (classParent(device) !== null) yield 'device'
  yield* device.directories.keys()
  if (subsystem(device) !== null) yield 'subsystem'
  yield 'power'
  for (const child of device.children.values()) yield child.subdirectory ?? child.name
}

function find(core: readonly Attribute[], device: Device, name: string): Node | undefined {
  const link = device.links.get(name)
  if (link !== undefined) return link
  for (const attribute of attributes(core, device)) {
    if (attribute.name !== name) continue
    return attribute.visible?.(device) === false ? undefined : attributeFile(device, attribute)
  }
  if (name === 'subsystem') {
    const target = subsystem(device)
    return target === null ? undefined : relativeLink(device.path, target)
  }
  if (name === 'device') {
    const parent = classParent(device)
    if (parent !== null) return relativeLink(device.path, parent.path)
  }
  if (name === 'power') return powerDirectory(device)
  const made = device.directories.get(name)
  if (made !== undefined) return made()
  const child = device.children.get(name)
  if (child !== undefined) return deviceDirectory(core, child)
  return classDirectory(core, device, name)
}

/** Children of a class: ".../net" holds eth0. */
function classDirectory(
  core: readonly Attribute[],
  device: Device,
  name: string,
): Directory | undefined {
  const inside = new Map<string, Device>()
  for (const child of device.children.values()) {
    if (child.subdirectory === name) inside.set(child.name, child)
  }
  if (inside.size === 0) return undefined
  return {
    kind: 'directory',
    list: () => [...inside.keys()],
    find: (childName) => {
      const child = inside.get(childName)
      return child === undefined ? undefined : deviceDirectory(core, child)
    },
  }
}

function subsystem(device: Device): string | null {
  if (device.bus !== null) return `/bus/${device.bus.name}`
  return device.className === null ? null : `/class/${device.className}`
}

/** Members of a class link to the device they belong to (device_add_class_symlinks). */
function classParent({ className, parent }: Device): Device | null {
  return className === null ? null : parent
}

function attributeFile(device: Device, attribute: Attribute): File {
  const show = attribute.show?.bind(attribute)
  const store = attribute.store?.bind(attribute)
  return {
    kind: 'file',
    mode: attribute.mode,
    ...(show && { read: (who) => show(device, who) }),
    ...(store && { write: (bytes, who) => store(device, bytes, who) }),
  }
}
