/** Runtime power management of one device (drivers/base/power/runtime.c). */

export type RuntimeStatus = 'active' | 'suspended' | 'suspending' | 'resuming' | 'unsupported'

export class RuntimePower {
  readonly parent: RuntimePower | null
  /** power/control: "on" forbids suspending, "auto" allows it. */
  control: 'on' | 'auto' = 'on'
  /** References that keep the device active. */
  usageCount = 0
  status: RuntimeStatus = 'unsupported'

  constructor(parent: RuntimePower | null) {
    this.parent = parent
  }
}
