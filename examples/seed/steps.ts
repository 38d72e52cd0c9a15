/**
 * What administrators and users of VFIO do, one function for each step, written with nothing but the calls
 * that Linux has: the same code drives a real host through another Kernel.
 */
import {
  CONTAINER_REQUEST,
  DMA_MAP,
  encodeStructure,
  EXTENSION,
  GROUP_REQUEST,
  GROUP_STATUS,
  type Handle,
  type Kernel,
  KernelError,
  MAP_FLAG,
  type Memory,
} from 'isogroup/model'

const DEVICES = '/sys/bus/pci/devices'
const DEADLINE = 1000

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function text(from: Uint8Array | null): string {
  return from === null ? 'nothing' : new TextDecoder().decode(from).replace(/\0+$/, '')
}

/** Name of the bound driver, "-" without one. */
export function driverOf(kernel: Kernel, address: string): string {
  const link = `${DEVICES}/${address}/driver`
  return kernel.exists(link) ? (kernel.link(link).split('/').at(-1) ?? '') : '-'
}

/** Group id, "-" without one. */
export function groupOf(kernel: Kernel, address: string): string {
  const link = `${DEVICES}/${address}/iommu_group`
  return kernel.exists(link) ? (kernel.link(link).split('/').at(-1) ?? '') : '-'
}

/** An explicit act: names the driver that shall have the device, takes the old one off, offers the device. */
export async function give(kernel: Kernel, address: string, driver = 'vfio-pci'): Promise<void> {
  await kernel.write(`${DEVICES}/${address}/driver_override`, bytes(`${driver}\n`), DEADLINE)
  if (driverOf(kernel, address) !== '-') {
    await kernel.write(`${DEVICES}/${address}/driver/unbind`, bytes(address), DEADLINE)
  }
  await kernel.write('/sys/bus/pci/drivers_probe', bytes(address), DEADLINE)
}

/** "ok", or the kernel's no by name. */
export async function attempt(action: () => unknown): Promise<string> {
  try {
    await action()
    return 'ok'
  } catch (error) {
    if (error instanceof KernelError) return error.code
    throw error
  }
}

export function isViable(group: Handle): boolean {
  const status = encodeStructure(GROUP_STATUS, { argsz: GROUP_STATUS.bytes })
  group.ioctl(GROUP_REQUEST.getStatus, status)
  return (new DataView(status.buffer).getUint32(4, true) & 1) !== 0
}

export function setContainer(group: Handle, container: Handle): void {
  group.ioctl(
    GROUP_REQUEST.setContainer,
    new Uint8Array(Int32Array.of(container.descriptor).buffer),
  )
}

export interface Taken {
  readonly container: Handle
  /** In the order of the ids. */
  readonly groups: readonly Handle[]
}

/** One container with all the groups in it: from here on they share a context. */
export async function takeGroups(kernel: Kernel, ...ids: readonly string[]): Promise<Taken> {
  const container = await kernel.open('/dev/vfio/vfio')
  const groups: Handle[] = []
  for (const id of ids) {
    const group = await kernel.open(`/dev/vfio/${id}`)
    setContainer(group, container)
    if (groups.push(group) === 1) container.ioctl(CONTAINER_REQUEST.setIommu, EXTENSION.type1v2)
  }
  return { container, groups }
}

/** Lets every device of the container's groups reach this memory, at the bus address. */
export function mapDma(container: Handle, memory: Memory, address: number): void {
  const map = {
    argsz: DMA_MAP.bytes,
    flags: MAP_FLAG.read | MAP_FLAG.write,
    vaddr: memory.address,
    iova: address,
    size: memory.bytes.length,
  }
  container.ioctl(CONTAINER_REQUEST.mapDma, encodeStructure(DMA_MAP, map))
}

/** The device's own handle, allowed to do DMA: users set the bus master bit in config space. */
export function openDevice(kernel: Kernel, group: Handle, address: string): Handle {
  const descriptor = group.ioctl(GROUP_REQUEST.getDeviceDescriptor, bytes(`${address}\0`))
  const device = kernel.handle(descriptor, address)
  const command = CONFIG_REGION + 4
  const [low = 0] = device.read(command, 1)
  device.write(command, Uint8Array.of(low | 4))
  return device
}

/** Regions of a device handle are 2^40 apart; number 7 is config space. */
const CONFIG_REGION = 7 * 2 ** 40

/** The end of an owner: handles of devices first, whatever order they come in. */
export async function giveBack(
  { container, groups }: Taken,
  devices: readonly Handle[] = [],
): Promise<void> {
  for (const handle of [...devices, ...groups, container]) await handle.close()
}
