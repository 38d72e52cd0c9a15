/**
 * Runtime power management of one device (drivers/base/power/runtime.c): who uses it keeps it awake, and
 * with it everything above it; who may sleep ("auto") sleeps when nobody does.
 *
 *     active --last user gone, control auto, no child awake--> suspended --anybody needs it--> active
 */

export type RuntimeStatus = 'active' | 'suspended' | 'suspending' | 'resuming' | 'unsupported'

export class RuntimePower {
  readonly parent: RuntimePower | null
  /** power/control: "on" forbids suspending, "auto" allows it. */
  control: 'on' | 'auto' = 'on'
  /** References that keep the device active; "on" is one of them. */
  usageCount = 0
  /** Children that are active (child_count). */
  activeChildren = 0
  status: RuntimeStatus = 'suspended'
  /** pm_runtime_enable() was called: otherwise status reads "unsupported". */
  enabled = false
  /** What suspending and resuming do to the device; may refuse by throwing. */
  suspend: () => void = () => undefined
  wake: () => void = () => undefined

  constructor(parent: RuntimePower | null) {
    this.parent = parent
  }
}

/** pm_runtime_set_active(), pm_runtime_enable(): a device that works is active. */
export function enableRuntimePower(power: RuntimePower): void {
  if (power.enabled) return
  power.enabled = true
  activate(power)
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
  if (power.enabled && power.status !== 'active') {
    power.wake()
    activate(power)
  }
}

/** pm_runtime_put(): one user less, and the device sleeps when it may. */
export function suspendIfIdle(power: RuntimePower): void {
  power.usageCount -= 1
  settle(power)
}

/** pm_runtime_allow(): `power/control` becomes auto. */
export function allow(power: RuntimePower): void {
  if (power.control === 'auto') return
  power.control = 'auto'
  settle(power)
}

/** pm_runtime_forbid(): `power/control` becomes on, and the device wakes. */
export function forbid(power: RuntimePower): void {
  if (power.control === 'on') return
  power.control = 'on'
  if (!power.enabled || power.status === 'active') return
  power.wake()
  activate(power)
}

/** What `power/runtime_status` shows. */
export function runtimeStatus(power: RuntimePower): RuntimeStatus {
  return power.enabled ? power.status : 'unsupported'
}

function settle(power: RuntimePower): void {
  if (!power.enabled || power.status !== 'active') return
  if (power.control === 'on' || power.usageCount > 0 || power.activeChildren > 0) return
  power.suspend()
  quieten(power)
}

function activate(power: RuntimePower): void {
  power.status = 'active'
  if (power.parent === null) return
  power.parent.activeChildren += 1
  if (power.parent.enabled && power.parent.status !== 'active') {
    power.parent.wake()
    activate(power.parent)
  }
}

function quieten(power: RuntimePower): void {
  power.status = 'suspended'
  if (power.parent === null) return
  power.parent.activeChildren -= 1
  settle(power.parent)
}
