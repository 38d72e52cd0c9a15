/**
 * Uevents: what the kernel tells the world about devices (lib/kobject_uevent.c), as datagrams
 * "ACTION@DEVPATH\0KEY=VALUE\0...". Keys in the kernel's order: ACTION DEVPATH SUBSYSTEM, the ones of
 * the class or node (MAJOR MINOR DEVNAME), DRIVER, those of the bus, SEQNUM last.
 */
import type { Device } from './device.ts'

export type UeventAction =
  | 'add'
  | 'remove'
  | 'change'
  | 'move'
  | 'online'
  | 'offline'
  | 'bind'
  | 'unbind'

export interface Uevent {
  readonly action: UeventAction
  /** Without /sys. */
  readonly devpath: string
  /** All KEY=value pairs in order, SEQNUM included. */
  readonly variables: readonly (readonly [key: string, value: string])[]
}

export class Uevents {
  sequence = 0
  readonly #listeners = new Set<(event: Uevent) => void>()

  /** @returns a function that stops listening */
  listen(listener: (event: Uevent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** @param more pairs that only this event carries, after those of the action */
  emit(
    action: UeventAction,
    device: Device,
    more: readonly (readonly [string, string])[] = [],
  ): void {
    // Neither on a bus nor in a class: a host bridge (dev_uevent_filter, drivers/base/core.c).
    if (device.bus === null && device.className === null) return
    this.sequence += 1
    // A driver that has just left must not be loaded again for it (zap_modalias_env).
    const subsystem = device.bus?.name ?? device.className ?? ''
    const variables: (readonly [string, string])[] = [
      ['ACTION', action],
      ['DEVPATH', device.path],
      ['SUBSYSTEM', subsystem],
      ...more,
      ...ueventFileVariables(device).filter(([key]) => action !== 'unbind' || key !== 'MODALIAS'),
      ['SEQNUM', String(this.sequence)],
    ]
    const event: Uevent = { action, devpath: device.path, variables }
    for (const listener of this.#listeners) listener(event)
  }
}

/** What the `uevent` file of the device shows, and every event carries (dev_uevent, drivers/base/core.c). */
export function ueventFileVariables(device: Device): readonly (readonly [string, string])[] {
  const variables: (readonly [string, string])[] = []
  if (device.node !== undefined && device.node !== null) {
    const [major = '', minor = ''] = device.node.devt.split(':')
    variables.push(['MAJOR', major], ['MINOR', minor], ['DEVNAME', device.node.path])
  }
  if (device.driver !== null) variables.push(['DRIVER', device.driver.name])
  variables.push(...device.ueventVariables())
  return variables
}
