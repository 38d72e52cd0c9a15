/** A bus without hardware, for tests of the driver core: it writes down what happens, in order. */
import type { KernelContext } from '../context.ts'
import { testContext } from '../iommu/fake-unit.case.ts'
import { Errno } from '../errno.ts'
import type { Capability, Credentials } from '../process.ts'
import { FileTree } from '../sysfs/file-tree.ts'
import { directory } from '../sysfs/node.ts'
import { runNow, type Task, step } from '../task.ts'
import { addDevice } from './add-device.ts'
import { registerDriver } from './bind.ts'
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
  /** A device of the name, added. */
  add(name: string): Device
  /** A driver of the name, registered. */
  register(name: string, behaviour?: Partial<Driver>): Driver
  /** @returns "ok" or the errno */
  write(path: string, text: string, who?: Credentials): string
  /** @returns the content or the errno */
  read(path: string, who?: Credentials): unknown
}

export const ROOT: Credentials = {
  uid: 0,
  capabilities: new Set<Capability>(['CAP_DAC_OVERRIDE', 'CAP_SYS_ADMIN']),
}
export const USER: Credentials = { uid: 1000, capabilities: new Set<Capability>() }

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}

/** A probe that says no. */
export function* failing(code: string): Task<void> {
  yield* step('about to fail')
  throw new Errno(code)
}

/** @returns what it gave, or the errno that it threw */
export function outcomeOf<T>(body: () => T): T | string {
  try {
    return body()
  } catch (error) {
    if (error instanceof Errno) return error.code
    throw error
  }
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
  const device = (name: string): Device => new Device({ name, parent: null, bus })
  const driver = (name: string, behaviour: Partial<Driver> = {}): Driver => ({
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
  })
  return {
    context,
    bus,
    story,
    files,
    device,
    driver,
    add: (name) => {
      const added = device(name)
      runNow(addDevice(context, added))
      return added
    },
    register: (name, behaviour) => {
      const registered = driver(name, behaviour)
      runNow(registerDriver(context, registered))
      return registered
    },
    write: (path, text, who = ROOT) =>
      outcomeOf(() => {
        runNow(files.write(path, bytesOf(text), who))
        return 'ok'
      }),
    read: (path, who = ROOT) => outcomeOf(() => files.read(path, who)),
  }
}
