/**
 * Errno numbers and their names, as Linux has them on every architecture Node runs on (asm-generic).
 *
 * Node names only the errors that other systems share; a kernel also says EBADFD, and drivers leak
 * numbers meant for the kernel alone (ENOTSUPP, EPROBE_DEFER). A number without a name stays one.
 */

const NAMES: ReadonlyMap<number, string> = new Map(
  [
    // include/uapi/asm-generic/errno-base.h: 1 to 34
    'EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT',
    'ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG',
    'ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE',
    // include/uapi/asm-generic/errno.h: 35 to 40
    'EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP',
  ]
    .join(' ')
    .split(' ')
    .map((name, index): [number, string] => [index + 1, name])
    .concat([
      [61, 'ENODATA'],
      [62, 'ETIME'],
      [71, 'EPROTO'],
      [74, 'EBADMSG'],
      [75, 'EOVERFLOW'],
      [77, 'EBADFD'],
      [84, 'EILSEQ'],
      [88, 'ENOTSOCK'],
      [90, 'EMSGSIZE'],
      [92, 'ENOPROTOOPT'],
      [93, 'EPROTONOSUPPORT'],
      [95, 'EOPNOTSUPP'],
      [97, 'EAFNOSUPPORT'],
      [105, 'ENOBUFS'],
      [108, 'ESHUTDOWN'],
      [110, 'ETIMEDOUT'],
      [114, 'EALREADY'],
      [115, 'EINPROGRESS'],
      [121, 'EREMOTEIO'],
      // include/linux/errno.h: never meant for user space, seen there all the same
      [517, 'EPROBE_DEFER'],
      [524, 'ENOTSUPP'],
    ]),
)

/** "EBUSY" for 16; "E9999" for a number without a name. */
export function errnoName(number: number): string {
  return NAMES.get(number) ?? `E${String(number)}`
}
