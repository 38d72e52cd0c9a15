/** Which group a device is in: programs know addresses, and the kernel numbers groups anew at every boot. */
import { IsogroupError } from '../base/errors.ts'
import { type KernelView, KernelError } from '../kernel/kernel.ts'
import { baseName } from '../linux/reading.ts'
import { formatAddress, parseLooseAddress } from '../pci/address.ts'

/** Whether a text is an address rather than the id of a group. */
export function isAddress(text: string): boolean {
  return parseLooseAddress(text) !== null
}

/** "1:0.0" as the kernel writes it. @throws IsogroupError usage */
export function fullAddress(text: string): string {
  const address = parseLooseAddress(text)
  if (address !== null) return formatAddress(address)
  throw new IsogroupError(
    'usage',
    `"${text}" is no address of a device`,
    'Give one like 0000:01:00.0; isogroup ls lists them.',
  )
}

/** @returns id of the group @throws IsogroupError usage, not-found: no such device, or in no group */
export function groupOf(kernel: KernelView, address: string): string {
  const full = fullAddress(address)
  const device = `/sys/bus/pci/devices/${full}`
  try {
    return baseName(kernel.link(`${device}/iommu_group`))
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause
    const isThere = kernel.exists(device)
    throw new IsogroupError(
      'not-found',
      isThere ? `${full} is in no isolation group` : `there is no device ${full}`,
      isThere ? 'isogroup doctor says what is missing' : 'isogroup ls lists them',
      { cause },
    )
  }
}
