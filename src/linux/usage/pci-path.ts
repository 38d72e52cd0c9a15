/** Which PCI functions a device of sysfs hangs below. */
import { parseAddress } from '../../pci/address.ts'

/**
 * Whether the link text of a class device passes the function. Any function on the way counts, not only the
 * last: what is behind an Intel VMD endpoint goes when the endpoint goes.
 */
export function isBelow(path: string, address: string): boolean {
  return path.split('/').includes(address)
}

/** Whether it hangs on real hardware, PCI or not: virtual devices have a directory of their own. */
export function isPhysical(path: string): boolean {
  return !path.includes('/virtual/')
}

/** Whether there is any PCI function on the way. */
export function hasPci(path: string): boolean {
  return path.split('/').some((part) => parseAddress(part) !== null)
}
