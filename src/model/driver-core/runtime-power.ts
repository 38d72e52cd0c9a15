/**
 * Runtime power management of one device (drivers/base/power/runtime.c): who uses it keeps it awake, and
 * with it everything above it; who may sleep ("auto") sleeps when nobody does.
 *
 *     active --last user gone, control auto, no child awake--> suspended --anybody needs it--> active
 *
 * A device is reached through those above it. So a parent wakes before its child and falls asleep after
 * its last one. The kernel lets devices fall asleep in the background, a moment later; here it is at once.
 */
import { Errno } from '../errno.ts'

export type RuntimeStatus = 'active' | 'suspended' | 'suspending' | 'resuming' | 'unsupported'

export class RuntimePower {
  readonly parent: RuntimePower | null
  /** power/control: "on" forbids suspending, "auto" allows it. */
  control: 'on' | 'auto' = 'auto'
  /** References that keep the device active, the one of control "on" left out. */
  usageCount = 0
  /** Children that are active (child_count). */
  activeChildren = 0
  status: RuntimeStatus = 'suspended'
  /** pm_runtime_enable() was called: otherwise status reads "unsupported". */
  enabled = false
  /** What suspending does to the device; an Errno that it throws means that it stays awake. */
  suspend: () => void = () => undefined
  /** What waking does to it; what it throws reaches whoever needed the device. */
  wake: () => void = () => undefined

  constructor(parent: RuntimePower | null) {
    this.parent = parent
  }
}

/**
 * What pci_pm_init() does with a function that was just found: it is awake, and it stays so until somebody
 * writes "auto" (pm_runtime_forbid, pm_runtime_set_active, pm_runtime_enable). Below a parent that sleeps nobody is
 * set awake (-EBUSY of __pm_runtime_set_status, which nobody looks at): such a function shows "suspended" until
 * somebody needs it.
 */
export function enableRuntimePower(power: RuntimePower): void {
  if (power.enabled) return
  power.control = 'on'
  power.enabled = true
  const { parent } = power
  if (parent?.enabled === true && parent.status !== 'active') return
  if (parent !== null) parent.activeChildren += 1
  power.status = 'active'
}

/** Before the device goes: its parent need not stay awake for it. */
export function disableRuntimePower(power: RuntimePower): void {
  if (!power.enabled) return
  if (power.status === 'active') quieten(power)
  power.enabled = false
}

/** pm_runtime_get_sync(): one more user, and the device is awake. */
export function resume(power: RuntimePower): void {
  power.usageCount += 1
  wakeUp(power)
}

/** pm_runtime_put(): one user less, and the device sleeps when it may. One too many is ignored. */
export function suspendIfIdle(power: RuntimePower): void {
  if (power.usageCount > 0) power.usageCount -= 1
  requestIdle(power)
}

/** pm_runtime_allow(): `power/control` becomes auto. */
export function allow(power: RuntimePower): void {
  if (power.control === 'auto') return
  power.control = 'auto'
  requestIdle(power)
}

/** pm_runtime_forbid(): `power/control` becomes on, and the device wakes. */
export function forbid(power: RuntimePower): void {
  if (power.control === 'on') return
  power.control = 'on'
  wakeUp(power)
}

/** pm_request_idle(): the device sleeps if nothing keeps it awake. */
export function requestIdle(power: RuntimePower): void {
  if (!power.enabled || power.status !== 'active') return
  if (power.control === 'on' || power.usageCount > 0 || power.activeChildren > 0) return
  try {
    power.suspend()
  } catch (error) {
    if (error instanceof Errno) return
    throw error
  }
  quieten(power)
}

/** What `power/runtime_status` shows. */
export function runtimeStatus(power: RuntimePower): RuntimeStatus {
  return power.enabled ? power.status : 'unsupported'
}

function wakeUp(power: RuntimePower): void {
  if (!power.enabled || power.status === 'active') return
  holdParent(power)
  try {
    power.wake()
  } catch (error) {
    releaseParent(power)
    throw error
  }
  power.status = 'active'
}

function quieten(power: RuntimePower): void {
  power.status = 'suspended'
  releaseParent(power)
}

function holdParent({ parent }: RuntimePower): void {
  if (parent === null) return
  parent.activeChildren += 1
  wakeUp(parent)
}

function releaseParent({ parent }: RuntimePower): void {
  if (parent === null) return
  parent.activeChildren -= 1
  requestIdle(parent)
}
