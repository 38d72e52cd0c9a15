/** A device as JSON: ids as text of fixed length; what is unknown is null, with the reason beside it. */
import type { Fact } from '../../base/fact.ts'
import type { OtherDevice, PciFunction } from '../../isolation/host.ts'
import { hex } from '../../pci/address.ts'

export interface DeviceJson {
  readonly address: string
  /** 4 hexadecimal digits */
  readonly vendor: string | null
  readonly device: string | null
  /** 6 hexadecimal digits: base class, sub-class, programming interface */
  readonly class: string | null
  readonly name: string | null
  readonly className: string | null
  /** null: none is bound, or unknown (then `unknown` says why) */
  readonly driver: string | null
  /** The physical function of a virtual one; null for all others. */
  readonly physicalFunction: string | null
  /** Why a member is null although it need not be: { "driver": "not in the text" }. */
  readonly unknown: Readonly<Record<string, string>>
}

export interface OtherDeviceJson {
  readonly name: string
  readonly bus: string | null
  readonly driver: string | null
  readonly unknown: Readonly<Record<string, string>>
}

/** The value shown, or null and the reason noted under `name`. */
export function shown<T, J>(
  unknown: Record<string, string>,
  name: string,
  fact: Fact<T>,
  show: (value: T) => J,
): J | null {
  if (fact.known) return show(fact.value)
  unknown[name] = fact.why
  return null
}

export function deviceJson(fn: PciFunction): DeviceJson {
  const unknown: Record<string, string> = {}
  return {
    address: fn.address,
    vendor: shown(unknown, 'vendor', fn.vendor, idText),
    device: shown(unknown, 'device', fn.device, idText),
    class: shown(unknown, 'class', fn.classCode, (code) => hex(code, 6)),
    name: fn.name,
    className: fn.className,
    driver: shown(unknown, 'driver', fn.driver, same),
    physicalFunction: shown(unknown, 'physicalFunction', fn.physicalFunction, same),
    unknown,
  }
}

export function otherDeviceJson(other: OtherDevice): OtherDeviceJson {
  const unknown: Record<string, string> = {}
  return {
    name: other.name,
    bus: shown(unknown, 'bus', other.bus, same),
    driver: shown(unknown, 'driver', other.driver, same),
    unknown,
  }
}

/** 4 hexadecimal digits. */
export function idText(value: number): string {
  return hex(value, 4)
}

/** For facts that are shown as they are. */
export function same<T>(value: T): T {
  return value
}
