/**
 * What administrators, users and hands do, as operations of a world. Writes to sysfs are the kernel's own
 * code, with all its points where others may come in between; opens and ioctls happen at once, as each
 * of them holds its lock from beginning to end.
 */
import type { DeviceTemplate } from '../src/model/hardware/devices/catalogue.ts'
import { Errno } from '../src/model/errno.ts'
import type { Task } from '../src/model/task.ts'
import { Container } from '../src/model/vfio/container.ts'
import { encodeStructure } from '../src/kernel/abi/structure.ts'
import {
  CONTAINER_REQUEST,
  DMA_MAP,
  DMA_UNMAP,
  EXTENSION,
  GROUP_REQUEST,
  MAP_FLAG,
} from '../src/kernel/abi/vfio.ts'
import type { Operation, Run } from './model-run.ts'

const DEVICES = '/sys/bus/pci/devices'
const DRIVERS = '/sys/bus/pci/drivers'
const PAGE = 4096

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}

function writeFile(run: Run, path: string, text: string): Task<void> {
  return run.model.files.write(path, bytes(text), run.user)
}

/** A write to a file of sysfs, at most `times` times. */
export function write(name: string, path: string, text: string, times = 1): Operation {
  return { name, times, begin: (run) => writeFile(run, path, text) }
}

export function bind(driver: string, address: string, times = 1): Operation {
  return write(`bind ${address} to ${driver}`, `${DRIVERS}/${driver}/bind`, address, times)
}

/** From whatever driver it has. */
export function unbind(address: string, times = 1): Operation {
  return {
    ...write(`unbind ${address}`, `${DEVICES}/${address}/driver/unbind`, address, times),
    possible: (run) => run.model.pci.device(address)?.links.has('driver') === true,
  }
}

export function probe(address: string, times = 1): Operation {
  return write(`probe ${address}`, '/sys/bus/pci/drivers_probe', address, times)
}

export function override(address: string, driver: string): Operation {
  const path = `${DEVICES}/${address}/driver_override`
  return write(`override ${address} with ${driver}`, path, `${driver}\n`)
}

export function remove(address: string): Operation {
  return write(`remove ${address}`, `${DEVICES}/${address}/remove`, '1')
}

export function rescan(): Operation {
  return write('rescan', '/sys/bus/pci/rescan', '1')
}

export function virtualFunctions(address: string, count: number, times = 1): Operation {
  const path = `${DEVICES}/${address}/sriov_numvfs`
  return write(`make ${String(count)} virtual functions of ${address}`, path, String(count), times)
}

export function plug(template: DeviceTemplate, above: string, devfn: number, times = 1): Operation {
  return {
    name: `plug ${template.kind} in below ${above}`,
    times,
    begin: (run) => run.model.hotAdd(template, above, devfn),
  }
}

export function pull(address: string, times = 1): Operation {
  return { name: `pull ${address}`, times, begin: (run) => run.model.hotRemove(address) }
}

/** Something that a user does, in one step. Errnos are answers. */
function user(
  name: string,
  times: number | null,
  possible: (run: Run) => boolean,
  action: (run: Run) => void,
): Operation {
  return {
    name,
    times,
    possible,
    // biome-ignore lint/correctness/useYield: atomic, but a task like the others
    *begin(run): Task<void> {
      action(run)
    },
  }
}

function open(run: Run, name: string, path: string): void {
  run.descriptors.set(name, run.user.install(run.model.vfio.open(path, run.user)))
}

function ioctl(run: Run, name: string, request: number, argument: number | Uint8Array): number {
  const descriptor = run.descriptors.get(name)
  if (descriptor === undefined) throw new Errno('EBADF')
  const file = run.user.file(descriptor)
  return file.ioctl?.(request, argument, run.user) ?? 0
}

const groupName = (address: string): string => `group of ${address}`

function groupPath(run: Run, address: string): string {
  return `/dev/vfio/${String(run.model.pci.device(address)?.iommuGroup?.id ?? 'none')}`
}

const has =
  (...names: readonly string[]) =>
  (run: Run): boolean =>
    names.every((name) => run.descriptors.has(name))

/** Opening and closing files, of the container and of the groups of the given devices. */
export function openings(addresses: readonly string[], times: number): readonly Operation[] {
  const files = [
    { name: 'container', path: () => '/dev/vfio/vfio' },
    ...addresses.map((address) => ({
      name: groupName(address),
      path: (run: Run) => groupPath(run, address),
    })),
  ]
  return files.flatMap(({ name, path }) => [
    user(
      `open ${name}`,
      times,
      (run) => !run.descriptors.has(name),
      (run) => {
        open(run, name, path(run))
      },
    ),
    close(name),
  ])
}

/** Closing is always possible while open: a world in which nobody may let go would deadlock by design. */
function close(name: string): Operation {
  return {
    name: `close ${name}`,
    times: null,
    possible: has(name),
    *begin(run): Task<void> {
      const descriptor = run.descriptors.get(name)
      run.descriptors.delete(name)
      if (descriptor !== undefined) yield* run.user.close(descriptor)
    },
  }
}

export function setContainer(address: string, times = 1): Operation {
  const group = groupName(address)
  return user(`put ${group} into the container`, times, has('container', group), (run) => {
    const argument = new Uint8Array(4)
    new DataView(argument.buffer).setInt32(0, run.descriptors.get('container') ?? -1, true)
    ioctl(run, group, GROUP_REQUEST.setContainer, argument)
  })
}

export function unsetContainer(address: string, times = 1): Operation {
  const group = groupName(address)
  return user(`take ${group} out of the container`, times, has(group), (run) => {
    ioctl(run, group, GROUP_REQUEST.unsetContainer, 0)
  })
}

export function setIommu(times = 1): Operation {
  return user('set IOMMU of the container', times, has('container'), (run) => {
    ioctl(run, 'container', CONTAINER_REQUEST.setIommu, EXTENSION.type1v2)
  })
}

/** A page of the user at an IOVA page. */
export function map(iovaPage: number, times = 1): Operation {
  return user(`map page 0x${iovaPage.toString(16)}`, times, has('container'), (run) => {
    const container = run.user.file(run.descriptors.get('container') ?? -1)
    if (!(container instanceof Container)) throw new Errno('EBADF')
    const vaddr = run.buffer(iovaPage)
    const argument = encodeStructure(DMA_MAP, {
      argsz: DMA_MAP.bytes,
      flags: MAP_FLAG.read | MAP_FLAG.write,
      vaddr,
      iova: iovaPage * PAGE,
      size: PAGE,
    })
    ioctl(run, 'container', CONTAINER_REQUEST.mapDma, argument)
    const pages = run.mappings.get(container) ?? new Map<number, number>()
    pages.set(iovaPage, run.user.memory.physicalPage(vaddr / PAGE) ?? -1)
    run.mappings.set(container, pages)
  })
}

export function unmap(iovaPage: number, times = 1): Operation {
  return user(`unmap page 0x${iovaPage.toString(16)}`, times, has('container'), (run) => {
    const container = run.user.file(run.descriptors.get('container') ?? -1)
    const argument = encodeStructure(DMA_UNMAP, {
      argsz: DMA_UNMAP.bytes,
      iova: iovaPage * PAGE,
      size: PAGE,
    })
    ioctl(run, 'container', CONTAINER_REQUEST.unmapDma, argument)
    if (container instanceof Container) run.mappings.get(container)?.delete(iovaPage)
  })
}

/** Opening a device through its group's file, and closing it. */
export function openDevice(address: string, times = 1): readonly Operation[] {
  const name = `device ${address}`
  const opening = user(
    `open ${name}`,
    times,
    (run) => run.descriptors.has(groupName(address)) && !run.descriptors.has(name),
    (run) => {
      const argument = bytes(`${address}\0`)
      const request = GROUP_REQUEST.getDeviceDescriptor
      run.descriptors.set(name, ioctl(run, groupName(address), request, argument))
    },
  )
  return [opening, close(name)]
}
