/**
 * PCI addresses: domain:bus:device.function, printed in full and lower case ("0000:01:00.0").
 *
 * Domains above ffff exist (Intel VMD uses 10000 and up), so a domain has four or more digits.
 */
export interface PciAddress {
  /** 0 and up; 32 bits. */
  readonly domain: number
  /** 0-255 */
  readonly bus: number
  /** 0-31, the slot on the bus */
  readonly device: number
  /** 0-7 */
  readonly function: number
}

const FULL = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/
const LOOSE = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([01]?[0-9a-f])\.([0-7])$/i

/** Parses a full lower-case address as the kernel prints it; null when it is anything else. */
export function parseAddress(text: string): PciAddress | null {
  return fromMatch(FULL.exec(text))
}

/** Parses what people type: domain optional, either case, short numbers. */
export function parseLooseAddress(text: string): PciAddress | null {
  return fromMatch(LOOSE.exec(text))
}

function fromMatch(match: RegExpExecArray | null): PciAddress | null {
  if (match === null) return null
  return {
    domain: match[1] === undefined ? 0 : parseInt(match[1], 16),
    bus: parseInt(match[2] ?? '', 16),
    device: parseInt(match[3] ?? '', 16),
    function: parseInt(match[4] ?? '', 16),
  }
}

/** "0000:01:00.0" */
export function formatAddress(at: PciAddress): string {
  return `${formatBus(at.domain, at.bus)}:${hex(at.device, 2)}.${String(at.function)}`
}

/** "0000:01", the name of a bus. */
export function formatBus(domain: number, bus: number): string {
  return `${hex(domain, 4)}:${hex(bus, 2)}`
}

/** Device and function as one byte, as requester ids carry them. */
export function devfn(at: PciAddress): number {
  return (at.device << 3) | at.function
}

/** Order by domain, bus, device, function: the order of lspci. */
export function compareAddresses(a: PciAddress, b: PciAddress): number {
  return a.domain - b.domain || a.bus - b.bus || devfn(a) - devfn(b)
}

/** Lower-case hexadecimal, padded with zeros; no "0x". */
export function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
