/**
 * Which capability every byte of configuration space belongs to, and the copy whose bytes a user sees
 * instead of the device's where the permissions say so: vfio_config_init(), vfio_cap_init() and
 * vfio_ecap_init() of drivers/vfio/pci/vfio_pci_config.c. Capabilities of unknown length are left out of
 * the chain.
 */
import { atLeast, type KernelVersion } from '../../../base/kernel-version.ts'
import type { ConfigSpace } from '../../hardware/config-space.ts'
import { capabilityLength, extendedCapabilityLength } from './capability-lengths.ts'
import {
  extendedPermissions,
  type Permissions,
  permissions,
  UNCLAIMED,
} from './config-permissions.ts'

const STATUS = 0x06
const CAPABILITY_LIST = 0x10
const CHAIN = 0x34
const EXTENDED = 0x100
const POWER_MANAGEMENT = 0x01
const MSI = 0x05
/** Designated vendor specific, shown to users since 6.4. */
const DESIGNATED = 0x23

/** The header or a capability. */
export interface Section {
  /** 0 for the header. */
  readonly id: number
  readonly extended: boolean
  readonly start: number
  readonly permissions: Permissions
}

export interface ConfigLayout {
  /** What a byte belongs to; undefined: to nothing. */
  section(offset: number): Section | undefined
  /** The copy (vconfig). */
  readonly copy: Uint8Array
}

/** @param version decides which extended capabilities are known */
export function configLayout(config: ConfigSpace, version: KernelVersion): ConfigLayout {
  const layout = new Layout(config)
  layout.claim({ id: 0, extended: false, start: 0, permissions: permissions(0, 0) }, 64)
  layStandard(config, layout)
  if (config.size > EXTENDED) layExtended(config, layout, version)
  return layout
}

class Layout implements ConfigLayout {
  readonly copy: Uint8Array
  readonly #config: ConfigSpace
  readonly #sections: (Section | undefined)[] = []

  constructor(config: ConfigSpace) {
    this.#config = config
    this.copy = new Uint8Array(config.size)
  }

  section(offset: number): Section | undefined {
    return this.#sections[offset]
  }

  claim(section: Section, length: number): void {
    const end = Math.min(section.start + length, this.#config.size)
    for (let at = section.start; at < end; at += 1) {
      this.#sections[at] = section
      this.copy[at] = this.#config.read(at, 1)
    }
  }
}

/** @throws nothing: a chain that loops ends after as many steps as there can be capabilities */
function layStandard(config: ConfigSpace, layout: Layout): void {
  const { copy } = layout
  if ((config.read(STATUS, 2) & CAPABILITY_LIST) === 0) return
  let previous = CHAIN
  let count = 0
  let at = config.read(CHAIN, 1) & ~3
  for (let steps = 0; at >= 64 && at < EXTENDED && steps < 48; steps += 1) {
    const id = config.read(at, 1)
    const next = config.read(at + 1, 1) & ~3
    const length = capabilityLength(config, id, at)
    if (length === 0) copy[previous] = next
    else {
      const control = id === MSI ? config.read(at + 2, 2) : 0
      layout.claim(
        { id, extended: false, start: at, permissions: permissions(id, control) },
        length,
      )
      if (id === POWER_MANAGEMENT) hideWakeEvents(copy, at)
      previous = at + 1
      count += 1
    }
    at = next
  }
  if (count === 0) copy[STATUS] = (copy[STATUS] ?? 0) & ~CAPABILITY_LIST
}

/** vfio_update_pm_vconfig_bytes(): the host deals with power management events. */
function hideWakeEvents(copy: Uint8Array, at: number): void {
  copy[at + 3] = (copy[at + 3] ?? 0) & 0x07
  copy[at + 5] = (copy[at + 5] ?? 0) & ~0x81
}

function layExtended(config: ConfigSpace, layout: Layout, version: KernelVersion): void {
  const { copy } = layout
  if (config.read(EXTENDED, 4) === 0) return
  let previous = -1
  let count = 0
  let at = EXTENDED
  for (let steps = 0; at >= EXTENDED && at < config.size && steps < 480; steps += 1) {
    const header = config.read(at, 4)
    const id = header & 0xffff
    const next = (header >>> 20) & 0xffc
    const known = id !== DESIGNATED || atLeast(version, 6, 4)
    const length = known ? extendedCapabilityLength(config, id, at) : 0
    if (length === 0 && previous >= 0) {
      setNext(copy, previous, next)
    } else {
      const section = { id, extended: true, start: at, permissions: extendedPermissions(id) }
      // The first one cannot be skipped: it stays as an anchor without an id.
      layout.claim(section, length === 0 ? 4 : length)
      if (length === 0) copy.set([0, 0, (copy[at + 2] ?? 0) & 0xc0], at)
      else count += 1
      previous = at
    }
    at = next
  }
  if (count === 0) copy.fill(0, EXTENDED, EXTENDED + 4)
}

function setNext(copy: Uint8Array, at: number, next: number): void {
  copy[at + 2] = ((copy[at + 2] ?? 0) & 0x0f) | ((next & 0xf) << 4)
  copy[at + 3] = next >> 4
}

/** For bytes of no capability. */
export function permissionsAt(layout: ConfigLayout, offset: number): Permissions {
  return layout.section(offset)?.permissions ?? UNCLAIMED
}
