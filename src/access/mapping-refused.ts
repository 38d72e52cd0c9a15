/** Why a mapping was refused, with the command that helps (vfio_iommu_type1.c, vfio_dma_do_map). */
import { IsogroupError } from '../base/errors.ts'
import type { KernelError } from '../kernel/kernel.ts'
import type { Type1Container } from '../linux/vfio/type1-container.ts'

const MIB = 2 ** 20

/** @param mapped bytes that the context has mapped already */
export function mappingRefused(
  cause: KernelError,
  size: number,
  mapped: number,
  container: Type1Container,
): IsogroupError {
  const what = `${String(size)} bytes cannot be mapped for devices`
  const wanted = Math.ceil((mapped + size) / MIB)
  switch (cause.code) {
    case 'ENOMEM':
      return new IsogroupError(
        'refused',
        `${what}: this process may not lock so much memory; with what is mapped it would be ${String(wanted)} MiB`,
        `ulimit -l ${String(wanted * 1024)} (as root, or after raising "memlock" in /etc/security/limits.d), or LimitMEMLOCK= of a service`,
        { cause },
      )
    case 'ENOSPC':
      return new IsogroupError(
        'refused',
        `${what}: the kernel allows no more mappings (${String(container.info().mappingsLeft ?? 0)} left)`,
        'map larger pieces, or raise /sys/module/vfio_iommu_type1/parameters/dma_entry_limit',
        { cause },
      )
    case 'EEXIST':
      return new IsogroupError('refused', `${what}: something is mapped there already`, '', {
        cause,
      })
    default:
      return new IsogroupError('io', `${what}: ${cause.code}`, 'dmesg may tell more', { cause })
  }
}
