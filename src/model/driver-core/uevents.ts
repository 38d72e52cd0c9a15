/**
 * Uevents: what the kernel tells the world about its objects (lib/kobject_uevent.c), as datagrams
 * "ACTION@DEVPATH\0KEY=VALUE\0...". Keys in the kernel's order: ACTION DEVPATH SUBSYSTEM, what was asked
 * for with a made-up event, the device node (MAJOR MINOR DEVNAME), DRIVER, those of the bus or class,
 * and SEQNUM, which counts every event of the machine.
 *
 * An event means "look again": by the time somebody reads it, the device may be gone.
 */
import type { Device } from './device.ts'

/** All there are, in the order of enum kobject_action. */
export const UEVENT_ACTIONS = [
  'add',
  'remove',
  'change',
  'move',
  'online',
  'offline',
  'bind',
  'unbind',
] as const

export type UeventAction = (typeof UEVENT_ACTIONS)[number]

type Variable = readonly [key: string, value: string]

export interface Uevent {
  readonly action: UeventAction
  /** Without /sys. */
  readonly devpath: string
  /** All KEY=value pairs in order, SEQNUM included. */
  readonly variables: readonly Variable[]
}

/** An object of sysfs that is no device: a bus, a driver. */
export interface PlainObject {
  /** Without /sys: "/bus/pci/drivers/nvme". */
  readonly path: string
  /** Name of the set it is in: "bus", "drivers". */
  readonly subsystem: string
}

/** Permission bits that devtmpfs gives a node when its class names none. */
const NODE_MODE = 0o600

export class Uevents {
  sequence = 0
  readonly #listeners = new Set<(event: Uevent) => void>()

  /** @returns a function that stops listening */
  listen(listener: (event: Uevent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** @param more pairs that only this event carries, after SUBSYSTEM */
  emit(action: UeventAction, device: Device, more: readonly Variable[] = []): void {
    const subsystem = subsystemOf(device)
    if (subsystem === null) return
    const own = ueventFileVariables(device)
    this.#send(action, { path: device.path, subsystem }, [
      ...more,
      // Who hears that a driver left shall not look for the next one (zap_modalias_env).
      ...(action === 'unbind' ? own.filter(([key]) => key !== 'MODALIAS') : own),
    ])
  }

  /** Of an object that has nothing to say beside its name. */
  emitPlain(action: UeventAction, object: PlainObject, more: readonly Variable[] = []): void {
    this.#send(action, object, more)
  }

  #send(action: UeventAction, { path, subsystem }: PlainObject, more: readonly Variable[]): void {
    this.sequence += 1
    const variables: Variable[] = [
      ['ACTION', action],
      ['DEVPATH', path],
      ['SUBSYSTEM', subsystem],
      ...more,
      ['SEQNUM', String(this.sequence)],
    ]
    const event: Uevent = { action, devpath: path, variables }
    for (const listener of this.#listeners) listener(event)
  }
}

/** What the `uevent` file of the device shows, and every event carries (dev_uevent, drivers/base/core.c). */
export function ueventFileVariables(device: Device): readonly Variable[] {
  if (subsystemOf(device) === null) return []
  const variables: Variable[] = []
  if (device.node !== null) {
    const [major = '', minor = ''] = device.node.devt.split(':')
    const { path, mode } = device.node
    variables.push(['MAJOR', major], ['MINOR', minor], ['DEVNAME', path])
    if (mode !== NODE_MODE) variables.push(['DEVMODE', `0${mode.toString(8)}`])
  }
  if (device.driver !== null) variables.push(['DRIVER', device.driver.name])
  variables.push(...device.ueventVariables())
  return variables
}

/** Null: neither on a bus nor in a class, as host bridges are; nobody hears of them (dev_uevent_filter). */
function subsystemOf({ bus, className }: Device): string | null {
  return bus?.name ?? className
}
