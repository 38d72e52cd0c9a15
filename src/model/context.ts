/**
 * What the parts of one model kernel share: its version, its log, its events, its physical memory. Made
 * once per kernel (model-kernel.ts) and passed to every part.
 */
import type { KernelVersion } from '../base/kernel-version.ts'
import type { Devices } from './driver-core/devices.ts'
import type { Uevents } from './driver-core/uevents.ts'
import type { PhysicalMemory } from './memory/physical-memory.ts'
import type { Scheduler } from './task.ts'

export interface KernelContext {
  readonly version: KernelVersion
  /** As uname -r prints it. */
  readonly release: string
  readonly commandLine: string
  /** dmesg, oldest first, without time stamps. */
  readonly log: string[]
  readonly uevents: Uevents
  readonly devices: Devices
  readonly memory: PhysicalMemory
  readonly scheduler: Scheduler
}
