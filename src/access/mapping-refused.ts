/** Why a mapping was refused, with the command that helps (vfio_iommu_type1.c, vfio_dma_do_map). */
import { IsogroupError } from '../base/errors.ts'
import type { Kernel, KernelError } from '../kernel/kernel.ts'
import { readMemlock } from '../linux/vfio/memlock.ts'
import type { Type1Container } from '../linux/vfio/type1-container.ts'

const KIB = 1024

export function mappingRefused(
  cause: KernelError,
  size: number,
  kernel: Kernel,
  container: Type1Container,
): IsogroupError {
  const what = `${String(size)} bytes cannot be mapped for devices`
  switch (cause.code) {
    case 'ENOMEM':
      return tooMuch(cause, what, size, kernel)
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

/** ENOMEM is the limit of locked memory, unless this process has none: then there are no pages. */
function tooMuch(cause: KernelError, what: string, size: number, kernel: Kernel): IsogroupError {
  const lock = readMemlock(kernel)
  if (lock.known && (lock.value.exempt || lock.value.limit === null)) {
    return new IsogroupError('refused', `${what}: the system has no memory left`, 'free -m', {
      cause,
    })
  }
  const figures = lock.known
    ? `: it may lock ${inKib(lock.value.limit ?? 0)} KiB, has locked ${inKib(lock.value.locked)} KiB, and wants ${inKib(size)} KiB more`
    : ''
  const wanted = inKib((lock.known ? lock.value.locked : 0) + size)
  return new IsogroupError(
    'refused',
    `${what}: this process may not lock so much memory${figures}`,
    `ulimit -l ${wanted} (as root, or after raising "memlock" in /etc/security/limits.d), or LimitMEMLOCK=${wanted}K of its service`,
    { cause },
  )
}

function inKib(bytes: number): string {
  return String(Math.ceil(bytes / KIB))
}
