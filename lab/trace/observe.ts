/**
 * What a trace sees of a kernel after each step: everything about drivers, groups, users and power that
 * files tell, and the uevents since the step before.
 *
 * A kernel may still be at work when a call has returned (a power state follows, a hot-plugged device is
 * probed), so the state is read until it stands still.
 */
import type { EventSource, KernelView } from '../../src/kernel/kernel.ts'
import type { VisibleState } from './operation.ts'

const DEVICES = '/sys/bus/pci/devices'
const GROUPS = '/sys/kernel/iommu_groups'

/** Files of each function, as far as it has them. */
const DEVICE_FILES = [
  'driver_override',
  'enable',
  'power/control',
  'power/runtime_status',
  'power_state',
  'reset_method',
  'sriov_numvfs',
  'sriov_drivers_autoprobe',
]
const GROUP_FILES = ['type', 'reserved_regions', 'name']

/** What is not there. */
const ABSENT = 'ENOENT'

/** @param ignored functions that are left out: the lab's own */
export function observe(kernel: KernelView, ignored: ReadonlySet<string>): VisibleState {
  const state = new Map<string, string>()
  for (const address of [...kernel.list(DEVICES)].sort()) {
    if (ignored.has(address)) continue
    const device = `${DEVICES}/${address}`
    // Asking for what is not there costs an exception; one look at the directory does not.
    const there = new Set(attemptList(kernel, device))
    const link = (name: string): string =>
      there.has(name) ? lastName(attempt(() => kernel.link(`${device}/${name}`))) : ABSENT
    state.set(`${address} driver`, link('driver'))
    state.set(`${address} group`, link('iommu_group'))
    const hasUsers = there.has('vfio-dev')
    state.set(`${address} vfio-dev`, hasUsers ? names(kernel, `${device}/vfio-dev`) : ABSENT)
    for (const file of DEVICE_FILES) {
      if (!file.includes('/') && !there.has(file)) continue
      const text = attempt(() => kernel.text(`${device}/${file}`))
      if (text !== ABSENT) state.set(`${address} ${file}`, text)
    }
  }
  for (const group of [...kernel.list(GROUPS)].sort()) {
    const members = names(kernel, `${GROUPS}/${group}/devices`)
    state.set(`group ${group} devices`, members)
    for (const file of GROUP_FILES) {
      const text = attempt(() => kernel.text(`${GROUPS}/${group}/${file}`))
      if (text !== ABSENT) state.set(`group ${group} ${file}`, text)
    }
  }
  state.set('/dev/vfio', names(kernel, '/dev/vfio'))
  state.set(
    'drivers_autoprobe',
    attempt(() => kernel.text('/sys/bus/pci/drivers_autoprobe')),
  )
  return state
}

export function sameState(one: VisibleState, other: VisibleState): boolean {
  if (one.size !== other.size) return false
  for (const [name, value] of one) if (other.get(name) !== value) return false
  return true
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

function attemptList(kernel: KernelView, path: string): readonly string[] {
  try {
    return kernel.list(path)
  } catch {
    return []
  }
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function names(kernel: KernelView, path: string): string {
  return attempt(() => [...kernel.list(path)].sort().join(' '))
}

/** Collects uevents from the moment it is made. */
export class UeventLog {
  readonly #seen: string[] = []
  readonly #source: EventSource

  constructor(source: EventSource) {
    this.#source = source
    void this.#collect()
  }

  async #collect(): Promise<void> {
    for await (const message of this.#source) {
      const line = describeUevent(new TextDecoder().decode(message))
      if (line !== null) this.#seen.push(line)
    }
  }

  /** Those since the last call. The event loop must have had a turn, for a socket to be read. */
  take(): readonly string[] {
    return this.#seen.splice(0)
  }

  async close(): Promise<void> {
    await this.#source.close()
  }
}

const SUBSYSTEMS: ReadonlySet<string> = new Set(['pci', 'vfio', 'vfio-dev'])
/** Numbers that other subsystems and other devices move too. */
const COUNTED: ReadonlySet<string> = new Set(['SEQNUM', 'MAJOR', 'MINOR'])

/** One line for a uevent of interest: its header and its variables in their order. */
function describeUevent(message: string): string | null {
  const [header = '', ...variables] = message.split('\0').filter((part) => part !== '')
  const values = new Map(variables.map((one) => [one.slice(0, one.indexOf('=')), one] as const))
  const subsystem = values.get('SUBSYSTEM')?.slice('SUBSYSTEM='.length) ?? ''
  if (!SUBSYSTEMS.has(subsystem)) return null
  const kept = [...values].filter(([name]) => !COUNTED.has(name)).map(([, text]) => text)
  return [header, ...kept.filter((text) => !/^(ACTION|DEVPATH)=/.test(text))].join(' ')
}
