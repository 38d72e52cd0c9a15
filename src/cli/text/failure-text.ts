/** A step that failed, in words for a person. */
import type { StepFailure } from '../../service/claim-record.ts'
import { type Screen, hanging } from '../screen.ts'

/** What errnos of binding and unbinding mean, where the name alone would not tell. */
const MEANING: Readonly<Record<string, string>> = {
  EBUSY: 'the device or its group is in use',
  EINVAL: 'the kernel refused it, as a driver does that does not want the device',
  ENODEV: 'the device is gone, or its driver refused it',
  ENOENT: 'it is gone',
  EACCES: 'the kernel does not permit it to this user',
  EPERM: 'the kernel does not permit it to this user',
  EROFS: '/sys is mounted read-only, as in most containers',
  EIO: 'the device or a disk failed',
  ENOSPC: 'the disk is full',
  ETIMEDOUT: 'it did not come back in time, and may still happen later',
  UNVERIFIED: 'the kernel accepted it, and it is not so',
}

/** "unbind 0000:01:00.0 from nvidia failed with EBUSY (...): held by ..." */
export function failureText({ step, code, evidence }: StepFailure): string {
  const meaning = MEANING[code]
  const why = meaning === undefined ? code : `${code} (${meaning})`
  return `could not ${step}: ${why}${evidence.length === 0 ? '' : `: ${evidence.join('; ')}`}`
}

/** What is not as it should be, a line each. */
export function leftLines(left: readonly string[], screen: Screen): readonly string[] {
  return left.flatMap((line) => hanging('left: ', line, screen.width))
}
