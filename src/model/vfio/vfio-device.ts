/**
 * A device in the hands of a VFIO driver, and the file through which a program drives it
 * (drivers/vfio/vfio_main.c). What the device can do is its driver's business (VfioOperations).
 *
 * The driver cannot let go while a program has the device open: it can only ask, and wait.
 */
import type { Device } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import { dropFile, holdFile } from '../file-references.ts'
import type { IoctlArgument, MappedWindow, OpenFile, Process } from '../process.ts'
import { type Task, wait } from '../task.ts'
import { sizedBuffer, type UserBuffer } from './user-buffer.ts'
import { REQUEST } from './vfio-abi.ts'
import type { VfioGroup } from './vfio-group.ts'

/** struct vfio_device_ops. */
export interface VfioOperations {
  /** Whether GET_DEVICE_FD means this device. @throws Errno EINVAL, EACCES about what follows the name */
  match(name: string): boolean
  /** First open. @throws Errno */
  open(): void
  /** Last close. */
  close(): void
  /** Somebody wants the device back; the count-th time. */
  request(count: number): void
  /** Keeps the device awake for as long as a call takes. */
  wake(): void
  rest(): void
  /** @throws Errno ENOTTY */
  ioctl(request: number, argument: IoctlArgument, process: Process): number
  /** @throws Errno ENOTTY for features it does not have */
  feature(request: FeatureRequest, process: Process): void
  read(offset: number, length: number): Uint8Array
  write(offset: number, bytes: Uint8Array): number
  map(offset: number, length: number): MappedWindow
  /** The device does what its registers tell it to, until it has nothing to do. */
  work(): void
}

/** DEVICE_FEATURE, after the checks that are the same for all. */
export interface FeatureRequest {
  readonly feature: number
  readonly get: boolean
  readonly set: boolean
  readonly probe: boolean
  /** The whole structure; data begins at 8. */
  readonly buffer: UserBuffer
  /** Bytes of data according to argsz. */
  readonly size: number
}

export class VfioDevice {
  readonly device: Device
  readonly operations: VfioOperations
  readonly group: VfioGroup
  /** <device>/vfio-dev/vfioN; null before 6.1. */
  readonly classDevice: Device | null
  readonly index: number
  openCount = 0

  constructor(
    device: Device,
    operations: VfioOperations,
    group: VfioGroup,
    classDevice: Device | null,
    index: number,
  ) {
    this.device = device
    this.operations = operations
    this.group = group
    this.classDevice = classDevice
    this.index = index
  }

  open(): void {
    if (this.openCount === 0) this.operations.open()
    this.openCount += 1
  }

  close(): void {
    // The driver sees itself open while it closes.
    if (this.openCount === 1) this.operations.close()
    this.openCount -= 1
  }

  /** The loop of vfio_unregister_group_dev(): asks once, since a model has no clock, and waits. */
  *waitForUsers(): Task<void> {
    if (this.openCount === 0) return
    this.operations.request(0)
    yield* wait(`users of ${this.device.name}`, () => this.openCount === 0)
  }
}

/** What GET_DEVICE_FD gives. It keeps the group's file open. */
export class DeviceFile implements OpenFile {
  readonly kind = 'vfio-device'
  readonly #device: VfioDevice
  readonly #groupFile: OpenFile

  constructor(device: VfioDevice, groupFile: OpenFile) {
    this.#device = device
    this.#groupFile = groupFile
    holdFile(groupFile)
  }

  ioctl(request: number, argument: IoctlArgument, process: Process): number {
    const { operations } = this.#device
    operations.wake()
    try {
      if (request !== REQUEST.deviceFeature) return operations.ioctl(request, argument, process)
      operations.feature(featureRequest(argument), process)
      return 0
    } finally {
      operations.rest()
    }
  }

  read(offset: number, length: number): Uint8Array {
    return this.#device.operations.read(offset, length)
  }

  write(offset: number, bytes: Uint8Array): number {
    return this.#device.operations.write(offset, bytes)
  }

  map(offset: number, length: number): MappedWindow {
    return this.#device.operations.map(offset, length)
  }

  work(): void {
    this.#device.operations.work()
  }

  *release(): Task<void> {
    this.#device.close()
    yield* dropFile(this.#groupFile)
  }
}

const HEADER = 8
const FEATURE_MASK = 0xffff
const GET = 0x10000
const SET = 0x20000
const PROBE = 0x40000

/** vfio_ioctl_device_feature(): what holds for every feature. */
function featureRequest(argument: IoctlArgument): FeatureRequest {
  const buffer = sizedBuffer(argument, HEADER)
  const flags = buffer.u32(4)
  const [get, set, probe] = [GET, SET, PROBE].map((bit) => (flags & bit) !== 0)
  if ((flags & ~(FEATURE_MASK | GET | SET | PROBE)) !== 0) throw new Errno('EINVAL')
  if (probe !== true && get === true && set === true) throw new Errno('EINVAL', 'GET or SET')
  return {
    feature: flags & FEATURE_MASK,
    get: get === true,
    set: set === true,
    probe: probe === true,
    buffer,
    size: buffer.u32(0) - HEADER,
  }
}

/**
 * vfio_check_feature(): whether the caller goes on; false after a probe.
 * @param bytes of data that the feature needs @throws Errno EINVAL
 */
export function checkFeature(
  request: FeatureRequest,
  supported: 'get' | 'set' | 'both',
  bytes: number,
): boolean {
  const { get, set, probe, size } = request
  if ((get && supported === 'set') || (set && supported === 'get')) throw new Errno('EINVAL')
  if (probe) return false
  if (!get && !set) throw new Errno('EINVAL', 'neither GET nor SET')
  if (size < bytes) throw new Errno('EINVAL', 'argsz is too small')
  return true
}
