/** Id tables of drivers (struct pci_device_id) from short forms. */
import type { DeviceId } from '../driver-core/driver.ts'
import { ID_ROWS } from './id-rows.ts'

const ANY: DeviceId = {
  vendor: null,
  device: null,
  subvendor: null,
  subdevice: null,
  class: 0,
  classMask: 0,
  overrideOnly: false,
  driverData: 0,
}

/** PCI_VDEVICE(). */
export function deviceId(vendor: number, device: number): DeviceId {
  return { ...ANY, vendor, device }
}

/** PCI_DEVICE_CLASS(), of one vendor if given. */
export function classId(
  code: number,
  mask: number = 0xffffff,
  vendor: number | null = null,
): DeviceId {
  return { ...ANY, vendor, class: code, classMask: mask }
}

/**
 * The ids of a driver in id-rows.ts.
 * @param more what else all of them ask for; the same at every call for the driver
 */
export function listedIds(driver: string, more: Partial<DeviceId> = {}): readonly DeviceId[] {
  const known = LISTED.get(driver)
  if (known !== undefined) return known
  const ids: DeviceId[] = []
  for (const row of (ID_ROWS[driver] ?? '').trim().split('\n')) {
    const [vendor = '', devices = ''] = row.split(':')
    for (const device of devices.trim().split(' ')) {
      ids.push({ ...deviceId(parseInt(vendor, 16), parseInt(device, 16)), ...more })
    }
  }
  LISTED.set(driver, ids)
  return ids
}

/** Read once for all machines of a program. */
const LISTED = new Map<string, readonly DeviceId[]>()
