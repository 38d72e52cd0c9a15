/** What the log says of a probe that failed (call_driver_probe, drivers/base/dd.c). */
import { atLeast } from '../../base/kernel-version.ts'
import { errnoName } from '../../kernel/abi/errno.ts'
import type { KernelContext } from '../context.ts'
import type { Errno } from '../errno.ts'
import type { Device } from './device.ts'
import type { Driver } from './driver.ts'

/** Probe functions say with these that they do not want the device, or not yet. That is no error. */
const POLITE = ['ENODEV', 'ENXIO', 'EPROBE_DEFER']

const NUMBERS: ReadonlyMap<string, number> = new Map(
  Array.from({ length: 525 }, (_, number) => [errnoName(number), number]),
)

/** Number of an errno as messages of the kernel print it, without the sign. */
export function errnoNumber({ code }: Errno): number {
  const number = NUMBERS.get(code)
  if (number === undefined) throw new Error(`${code} is not the name of an errno`)
  return number
}

export function reportProbeFailure(
  { version, log }: KernelContext,
  device: Device,
  driver: Driver,
  errno: Errno,
): void {
  if (POLITE.includes(errno.code)) return
  const number = String(-errnoNumber(errno))
  log.push(
    atLeast(version, 6, 10)
      ? `${driver.name} ${device.name}: probe with driver ${driver.name} failed with error ${number}`
      : `${driver.name}: probe of ${device.name} failed with error ${number}`,
  )
}
