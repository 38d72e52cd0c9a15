/**
 * The file of a group, /dev/vfio/N: whoever has it open is its only user, and gets devices of it.
 * What the kernel says no to is explained with what can be seen (drivers/vfio/group.c).
 */
import { IsogroupError } from '../../base/errors.ts'
import { encodeUtf8 } from '../../base/utf8.ts'
import { GROUP_REQUEST } from '../../kernel/abi/vfio.ts'
import { type Handle, type Kernel, KernelError } from '../../kernel/kernel.ts'
import { nodePath } from '../actions.ts'
import { groupRefused, type Surroundings } from './group-refusal.ts'

export class VfioGroupFile {
  readonly id: string
  readonly #kernel: Kernel
  readonly #handle: Handle

  private constructor(kernel: Kernel, id: string, handle: Handle) {
    this.#kernel = kernel
    this.id = id
    this.#handle = handle
  }

  /** @throws IsogroupError not-found, permission, refused (in use), io */
  static async open(kernel: Kernel, id: string): Promise<VfioGroupFile> {
    try {
      return new VfioGroupFile(kernel, id, await kernel.open(nodePath(id)))
    } catch (cause) {
      throw cause instanceof KernelError ? notOpened(id, cause) : cause
    }
  }

  /** For VFIO_DEVICE_PCI_HOT_RESET. */
  get descriptor(): number {
    return this.#handle.descriptor
  }

  /** @param around what is in the container, for the explanation @throws IsogroupError refused */
  enter(container: number, around: Surroundings): void {
    const argument = new Uint8Array(4)
    new DataView(argument.buffer).setInt32(0, container, true)
    try {
      this.#handle.ioctl(GROUP_REQUEST.setContainer, argument)
    } catch (cause) {
      throw cause instanceof KernelError
        ? groupRefused(this.#kernel, this.id, cause, around)
        : cause
    }
  }

  /** Out of its container. @throws KernelError EBUSY: a device of it is open */
  leave(): void {
    this.#handle.ioctl(GROUP_REQUEST.unsetContainer, 0)
  }

  /** @param address of a member @throws IsogroupError not-found, refused */
  device(address: string): Handle {
    try {
      const name = encodeUtf8(`${address}\0`)
      const descriptor = this.#handle.ioctl(GROUP_REQUEST.getDeviceDescriptor, name)
      return this.#kernel.handle(descriptor, address)
    } catch (cause) {
      throw cause instanceof KernelError ? noDevice(this.id, address, cause) : cause
    }
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

function notOpened(id: string, cause: KernelError): IsogroupError {
  const path = nodePath(id)
  const next = `isogroup show group:${id}`
  switch (cause.code) {
    case 'ENOENT':
      return new IsogroupError(
        'not-found',
        `there is no ${path}: no member of group ${id} is on a VFIO driver`,
        `isogroup claim group:${id}`,
        { cause },
      )
    case 'EACCES':
    case 'EPERM':
      return new IsogroupError(
        'permission',
        `${path} belongs to another user`,
        `an administrator can give it: isogroup claim group:${id} --owner USER`,
        { cause },
      )
    case 'EBUSY':
      return new IsogroupError(
        'refused',
        `group ${id} is in use: it has one user at a time`,
        next,
        {
          cause,
        },
      )
    default:
      return new IsogroupError('io', `cannot open ${path}: ${cause.code}`, next, { cause })
  }
}

function noDevice(id: string, address: string, cause: KernelError): IsogroupError {
  const isGone = cause.code === 'ENODEV'
  return new IsogroupError(
    isGone ? 'not-found' : 'refused',
    isGone
      ? `${address} is no member of group ${id} on a VFIO driver`
      : `${address} cannot be used: ${cause.code}`,
    `isogroup show ${address}`,
    { cause },
  )
}
