/**
 * What other programs have to be told about a group in order to use it: facts only, no format.
 *
 * A group's number is good until the next boot. What has to last longer is matched by identity: the
 * ids of a function and its place in the tree of devices (device-path.ts).
 */
import { IsogroupError } from '../../base/errors.ts'
import type { PciFunction } from '../../isolation/host.ts'
import { hex, parseAddress, type PciAddress } from '../../pci/address.ts'

export interface ExportedGroup {
  /** Number now: "13". */
  readonly group: string
  /** The VFIO driver that has the group, or is going to: "vfio-pci". */
  readonly driver: string
  /** What a user gets of it, ordered by address, never empty. Bridges stay with the host. */
  readonly devices: readonly ExportedDevice[]
}

export interface ExportedDevice {
  readonly fn: PciFunction
  /** The host's own driver for it; null when it has none, or none is known. */
  readonly homeDriver: string | null
}

/** A text to paste or to save, and what a person has to know about it. */
export interface ExportedText {
  readonly text: string
  /** Where it usually goes: "/etc/modprobe.d/isogroup.conf"; null for what is pasted elsewhere. */
  readonly path: string | null
  readonly notes: readonly string[]
}

/** Ids by which rules match a function, in hexadecimal without "0x". */
export interface ExportedIds {
  readonly vendor: string
  readonly device: string
  /** null: the function has no subsystem ids. */
  readonly subsystem: { readonly vendor: string; readonly device: string } | null
}

/** @throws IsogroupError refused: an id is unknown, so a rule could match something else */
export function idsOf({ address, vendor, device, subsystem }: PciFunction): ExportedIds {
  for (const fact of [vendor, device, subsystem]) {
    if (!fact.known) {
      throw new IsogroupError(
        'refused',
        `${address}: its ids are not all known, so a rule could match another device: ${fact.why}`,
        'read the host where the ids are visible: on the host itself, as root',
      )
    }
  }
  const under = subsystem.known ? subsystem.value : null
  return {
    vendor: vendor.known ? hex(vendor.value, 4) : '',
    device: device.known ? hex(device.value, 4) : '',
    subsystem:
      under === null ? null : { vendor: hex(under.vendor, 4), device: hex(under.device, 4) },
  }
}

/** The parts of a function's address. @throws when it is none, which a reader of hosts never lets through */
export function addressOf({ address }: PciFunction): PciAddress {
  const at = parseAddress(address)
  if (at === null) throw new Error(`${address} is no PCI address`)
  return at
}

/** A device in a comment of any format: one line, plain characters, whatever a name database holds. */
export function labelOf(fn: PciFunction): string {
  const name = (fn.name ?? fn.className ?? '').replace(/[^\x20-\x7e]+/g, ' ').replace(/--+/g, '-')
  return name === '' ? fn.address : `${fn.address} ${name}`
}
