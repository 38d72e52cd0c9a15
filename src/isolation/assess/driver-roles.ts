/**
 * What a bound driver means for its group: which drivers serve users, and which do no DMA of their own.
 *
 * These are the drivers with `driver_managed_dma = true` (Linux 5.19 and later). Names are as sysfs
 * shows them; some modules use "-" where others use "_", so both are taken as the same.
 */

/**
 * - `user`: a VFIO driver; the device is meant for a user
 * - `harmless`: stays bound while a user owns the group
 * - `kernel`: an ordinary driver; the group is the kernel's while it is bound
 * - `unknown`: named like a VFIO driver, but none that was checked
 */
export type DriverRole = 'user' | 'harmless' | 'kernel' | 'unknown'

/** Drivers built on VFIO, for PCI and for other buses. */
export const VFIO_DRIVERS: readonly string[] = [
  'vfio-pci',
  'mlx5_vfio_pci',
  'hisi_acc_vfio_pci',
  'pds_vfio_pci',
  'qat_vfio_pci',
  'nvgrace_gpu_vfio_pci',
  'virtio_vfio_pci',
  'vfio-platform',
  'vfio-amba',
  'vfio-fsl-mc',
  'vfio-cdx',
]

/** Ports, a placeholder, and a host controller that manages its own translation (drivers/pci, fsl_pci.c). */
export const HARMLESS_DRIVERS: readonly string[] = ['pcieport', 'pci-stub', 'fsl-pci']

const ROLES: ReadonlyMap<string, DriverRole> = new Map([
  ...VFIO_DRIVERS.flatMap((name) => bothSpellings(name, 'user')),
  ...HARMLESS_DRIVERS.flatMap((name) => bothSpellings(name, 'harmless')),
])

function bothSpellings(name: string, role: DriverRole): [string, DriverRole][] {
  return [
    [name, role],
    [name.replaceAll('-', '_'), role],
    [name.replaceAll('_', '-'), role],
  ]
}

/** The role of a driver by its name in sysfs. */
export function driverRole(name: string): DriverRole {
  return ROLES.get(name) ?? (/vfio/i.test(name) ? 'unknown' : 'kernel')
}
