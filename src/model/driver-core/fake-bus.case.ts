/** A bus without hardware, for tests of the driver core: it writes down what happens, in order. */
import type { KernelContext } from '../context.ts'
import { testContext } from '../iommu/fake-unit.case.ts'
import { FileTree } from '../sysfs/file-tree.ts'
import { directory } from '../sysfs/node.ts'
import { type Task, step } from '../task.ts'
import { Bus } from './bus.ts'
import { busDirectory } from './bus-directory.ts'
import { coreAttributes } from './core-attributes.ts'
import { Device } from './device.ts'
import type { Driver } from './driver.ts'

export interface FakeWorld {
  readonly context: KernelContext
  readonly bus: Bus
  /** Everything that happened: "bind-driver a", "uevent add a", "probe a by d". */
  readonly story: string[]
  readonly files: FileTree
  device(name: string): Device
  driver(name: string, behaviour?: Partial<Driver>): Driver
}

/** A driver takes every device whose name begins with the driver's. */
export function fakeWorld(release?: string): FakeWorld {
  const context = testContext(release)
  const story: string[] = []
  const bus = new Bus('toy', {
    match: (device, driver) => device.name.startsWith(driver.name),
    configureDma: (device) => story.push(`configure ${device.name}`),
    cleanUpDma: (device) => story.push(`clean up ${device.name}`),
  })
  bus.registerNotifier((event, device) => story.push(`${event} ${device.name}`))
  context.uevents.listen(({ action, devpath }) =>
    story.push(`uevent ${action} ${devpath.split('/').at(-1) ?? ''}`),
  )
  const core = coreAttributes(context)
  const files = new FileTree(
    directory({
      bus: () => directory({ toy: () => busDirectory(context, bus) }),
      class: () => context.devices.classes(),
      devices: () => context.devices.directory(core),
    }),
  )
  return {
    context,
    bus,
    story,
    files,
    device: (name) => new Device({ name, parent: null, bus }),
    driver: (name, behaviour = {}) => ({
      name,
      bus,
      module: null,
      managesDma: false,
      isVfio: false,
      ids: [],
      dynamicIds: [],
      takesIds: false,
      *probe(device: Device): Task<void> {
        story.push(`probe ${device.name} by ${name}`)
        yield* step('probed')
      },
      *remove(device: Device): Task<void> {
        story.push(`remove ${device.name} by ${name}`)
        yield* step('removed')
      },
      ...behaviour,
    }),
  }
}
