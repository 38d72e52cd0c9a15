/**
 * The library's third entry: `import { openUserHost, openContext } from 'isogroup/access'`. Devices of claimed groups in
 * the hands of a program: memory that they reach, their registers, their interrupts. On the running host through
 * VFIO, and unchanged on a model.
 *
 *     const host = await openUserHost('linux')
 *     const context = await openContext(host, ['0000:01:00.0'])
 *     const device = context.device('0000:01:00.0')
 *     device.enable()
 *     const { iova } = context.map(context.allocate(4096))
 *     device.bar(0).write64(0x80, BigInt(iova))
 *     ...
 *     await context.close()
 */
export { type MapOptions, type Mappable, type Mapping } from '../access/address-space.ts'
export { type Context, type ContextOptions, type LockEstimate } from '../access/context.ts'
export { type Device, type ResetScope } from '../access/device.ts'
export { DeviceRemovedError } from '../access/device-removed-error.ts'
export { type DmaMemory, type MemoryPart } from '../access/dma-memory.ts'
export { groupOf } from '../access/group-of.ts'
export {
  type InterruptKind,
  type Interrupts,
  InterruptsClosedError,
  type InterruptVector,
} from '../access/interrupts.ts'
export { openContext } from '../access/open-context.ts'
export type { Region } from '../access/region.ts'
export { type ErrorCode, IsogroupError } from '../base/errors.ts'
export type { Fact } from '../base/fact.ts'
export type { IovaRange } from '../isolation/context/iova-space.ts'
export { type Kernel, KernelError, type PageKind } from '../kernel/kernel.ts'
export type { Memlock } from '../linux/vfio/memlock.ts'
export type { DmaDirection } from '../linux/vfio/type1-container.ts'
export type { DependentDevice } from '../linux/vfio/vfio-device.ts'
export { openUserHost, type UserHost, type UserHostOptions } from './open-user-host.ts'
