/**
 * Memory made by mmap: anonymous pages of this process, and windows into devices.
 *
 * Somebody may hold `bytes` when the memory is given back, and an address that is not mapped would end the process.
 * So what is given back is replaced in place by pages that nobody has, and the addresses go when the last view
 * is garbage.
 */
import { type KernelAction, KernelError, type Memory, type PageKind } from '../kernel.ts'
import { calls, checked, viewMemory } from './libc.ts'

const PAGE = 4096
const HUGE_PAGE = 2 * 2 ** 20
const PROT_READ_WRITE = 3
const MAP_SHARED = 0x01
const MAP_PRIVATE = 0x02
const MAP_FIXED = 0x10
const MAP_ANONYMOUS = 0x20
const MAP_NORESERVE = 0x4000
const MAP_HUGETLB = 0x4_0000
const MADV_DONTFORK = 10
const MADV_HUGEPAGE = 14
const ANONYMOUS = 'anonymous memory'
const NO_FILE = -1

interface Place {
  readonly address: bigint
  readonly length: number
}

/** @throws KernelError ENOMEM, EINVAL for a length that is not positive */
export function anonymousMemory(length: number, pages: PageKind): Memory {
  const unit = pages === 'huge' ? HUGE_PAGE : PAGE
  const rounded = Math.ceil(length / unit) * unit
  if (pages === 'huge') return memoryAt({ address: hugePages(rounded), length: rounded })
  const flags = MAP_SHARED | MAP_ANONYMOUS
  return memoryAt({
    address: map(null, rounded, flags, NO_FILE, 0, 'memory', ANONYMOUS),
    length: rounded,
  })
}

/** @throws KernelError as the device says */
export function deviceMemory(
  descriptor: number,
  offset: number,
  length: number,
  name: string,
): Memory {
  return memoryAt({
    address: map(null, length, MAP_SHARED, descriptor, offset, 'map', name),
    length,
  })
}

/**
 * Pages of the system's pool (hugetlbfs); without one, addresses on which the system may put huge pages
 * by itself (Documentation/admin-guide/mm/transhuge.rst).
 */
function hugePages(length: number): bigint {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS
  try {
    return map(null, length, flags | MAP_HUGETLB, NO_FILE, 0, 'memory', ANONYMOUS)
  } catch (cause) {
    if (!(cause instanceof KernelError) || cause.code === 'EINVAL') throw cause
  }
  const start = map(null, length + HUGE_PAGE, flags, NO_FILE, 0, 'memory', ANONYMOUS)
  const unit = BigInt(HUGE_PAGE)
  const aligned = ((start + unit - 1n) / unit) * unit
  if (aligned > start) calls().munmap(start, Number(aligned - start))
  calls().munmap(aligned + BigInt(length), Number(start + unit - aligned))
  // Advice: a kernel without huge pages gives small ones.
  calls().madvise(aligned, length, MADV_HUGEPAGE)
  // Pages that devices write to stay with this process when it starts another one.
  calls().madvise(aligned, length, MADV_DONTFORK)
  return aligned
}

/** Addresses go when nobody can look at them any more. */
const views = new FinalizationRegistry<Place>(({ address, length }) => {
  calls().munmap(address, length)
})

function memoryAt(place: Place): Memory {
  const { address, length } = place
  const bytes = viewMemory(address, length)
  views.register(bytes.buffer, place)
  let held = true
  return {
    address: Number(address),
    bytes,
    release() {
      if (!held) return
      held = false
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE
      map(address, length, flags, NO_FILE, 0, 'memory', ANONYMOUS)
    },
  }
}

function map(
  address: bigint | null,
  length: number,
  flags: number,
  descriptor: number,
  offset: number,
  action: KernelAction,
  path: string,
): bigint {
  if (!Number.isSafeInteger(length) || length <= 0) throw new KernelError('EINVAL', action, path)
  return checked(
    calls().mmap(address, length, PROT_READ_WRITE, flags, descriptor, offset),
    action,
    path,
  )
}
