/** Kernel versions on the command line: the value of --kernel, and of kernel= in what-if. */
import { IsogroupError } from '../base/errors.ts'
import { atLeast, type KernelVersion, parseKernelVersion } from '../base/kernel-version.ts'

/** Isolation groups came with Linux 3.6 (drivers/iommu/iommu.c, iommu_group_alloc). */
const FIRST = { major: 3, minor: 6 }

/**
 * @param what the words that hold the version, for the message
 * @param example how it is said right
 * @throws IsogroupError usage
 */
export function kernelVersion(text: string, what: string, example: string): KernelVersion {
  const version = parseKernelVersion(text)
  const hint = `give it as \`uname -r\` prints it: ${example}`
  if (version === null) throw new IsogroupError('usage', `${what} is no kernel version`, hint)
  if (atLeast(version, FIRST.major, FIRST.minor)) return version
  throw new IsogroupError(
    'usage',
    `${what}: Linux has isolation groups since ${String(FIRST.major)}.${String(FIRST.minor)}`,
    hint,
  )
}
