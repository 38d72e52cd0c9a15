/**
 * DEVICE_FEATURE of PCI functions (vfio_pci_core_ioctl_feature): the VF token, and sleeping while a user
 * has the device. Migration and dirty page logging are for drivers of particular devices.
 */
import { Errno } from '../../errno.ts'
import type { Process } from '../../process.ts'
import { checkFeature, type FeatureRequest } from '../vfio-device.ts'
import { counterOf } from './interrupt-settings.ts'
import type { LowPower } from './low-power.ts'
import { formatUuid, type VfToken } from './vf-token.ts'

const FEATURE = { vfToken: 0, lowPower: 3, lowPowerWithWakeup: 4, lowPowerExit: 5 } as const

/** @throws Errno ENOTTY (no such feature), EINVAL, EFAULT, EBADF */
export function deviceFeature(
  { token, power }: { readonly token: VfToken | null; readonly power: LowPower },
  request: FeatureRequest,
  process: Process,
): void {
  const { buffer } = request
  switch (request.feature) {
    case FEATURE.vfToken:
      if (token === null) throw new Errno('ENOTTY', 'not a physical function')
      if (!checkFeature(request, 'set', 16)) return
      buffer.need(24)
      token.uuid = formatUuid(buffer.bytes.subarray(8, 24))
      return
    case FEATURE.lowPower:
      if (checkFeature(request, 'set', 0)) power.enter(null)
      return
    case FEATURE.lowPowerWithWakeup: {
      if (!checkFeature(request, 'set', 8)) return
      buffer.need(16)
      const descriptor = buffer.s32(8)
      if (descriptor < 0) throw new Errno('EINVAL')
      power.enter(counterOf(process, descriptor))
      return
    }
    case FEATURE.lowPowerExit:
      if (checkFeature(request, 'set', 0)) power.exit()
      return
    default:
      throw new Errno('ENOTTY', 'no such feature')
  }
}
