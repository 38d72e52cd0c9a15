/**
 * Deliberate mistakes, one or more for every invariant: a model kernel with one of them must not get past
 * the explorer. Each is a mistake somebody could make, or did: the third is the worry of 2011 that opening
 * a group might unbind its devices.
 */
import { releaseDriver } from '../src/model/driver-core/bind.ts'
import type { Device } from '../src/model/driver-core/device.ts'
import { Errno } from '../src/model/errno.ts'
import type { Domain } from '../src/model/iommu/domain.ts'
import type { Model } from '../src/model/model.ts'
import { runNow, type Task } from '../src/model/task.ts'
import type { Mutation } from './model-run.ts'

export interface Mistake {
  readonly name: string
  /** What the violation found must begin with. */
  readonly caughtAs: string
  readonly world: string
  /** The operations that matter here, where all of the world's would take long. */
  readonly among?: RegExp
  readonly mutation: Mutation
}

type Unit = Model['iommu']['units'][number]

function onlyUnit(model: Model): Unit {
  const [unit] = model.iommu.units
  if (unit === undefined) throw new Error('the machine has no IOMMU')
  return unit
}

export const MISTAKES: readonly Mistake[] = [
  {
    name: 'a kernel driver does not ask whose the group is',
    caughtAs: 'ownership',
    world: 'pair',
    mutation: ({ iommu }) => {
      iommu.useDefaultDomain = ({ iommuGroup }): void => {
        if (iommuGroup !== null) iommuGroup.ownerCount += 1
      }
      iommu.unuseDefaultDomain = ({ iommuGroup }): void => {
        if (iommuGroup !== null) iommuGroup.ownerCount -= 1
      }
    },
  },
  {
    name: 'unmapping leaves the translation cache as it is',
    caughtAs: 'reach',
    world: 'pair',
    mutation: (model) => {
      const hardware = onlyUnit(model).hardware as unknown as { invalidatePages: () => void }
      if (typeof hardware.invalidatePages !== 'function') throw new Error('no such command')
      hardware.invalidatePages = (): void => undefined
    },
  },
  {
    name: 'only the first function of a group is pointed at a new context',
    caughtAs: 'reach',
    world: 'pair',
    mutation: (model) => {
      const unit = onlyUnit(model)
      const attach = unit.attach.bind(unit)
      Object.assign(unit, {
        attach: (device: Parameters<Unit['attach']>[0], domain: Domain): void => {
          if (device.at.function === 0) attach(device, domain)
        },
      })
    },
  },
  {
    name: 'opening a group takes its devices from their kernel drivers',
    caughtAs: 'open',
    world: 'pair',
    among: /^(bind|unbind|open|close)/,
    mutation: (model) => {
      const open = model.vfio.open.bind(model.vfio)
      model.vfio.open = (path, process) => {
        const file = open(path, process)
        for (const group of model.iommu.groups.values()) {
          if (path !== `/dev/vfio/${String(group.id)}`) continue
          for (const { device } of group.members) {
            if (device.driver !== null && !device.driver.managesDma && !device.lock.held) {
              runNow(releaseDriver(model.context, device))
            }
          }
        }
        return file
      }
    },
  },
  {
    name: 'the group is assigned only once a driver is bound',
    caughtAs: 'assignment',
    world: 'newcomer',
    mutation: ({ pci: { bus } }) => {
      const notify = bus.notify.bind(bus)
      const late = new Set<Device>()
      bus.notify = (event, device): void => {
        if (event === 'add-device') late.add(device)
        else if (event === 'bound-driver' && late.delete(device)) notify('add-device', device)
        else notify(event, device)
      }
    },
  },
  {
    name: 'two groups get one default context',
    caughtAs: 'sharing',
    world: 'virtual',
    mutation: (model) => {
      const unit = onlyUnit(model)
      const [group] = model.iommu.groups.values()
      const create = unit.createDomain.bind(unit)
      Object.assign(unit, {
        createDomain: (type: Domain['type']): Domain => {
          const shared = group?.defaultDomain ?? null
          return type.startsWith('DMA') && shared !== null ? shared : create(type)
        },
      })
    },
  },
  {
    name: 'a released group keeps the context of its last user',
    caughtAs: 'release',
    world: 'pair',
    mutation: ({ iommu }) => {
      iommu.release = (group): void => {
        group.owner = null
        group.ownerCount = 0
      }
    },
  },
  {
    name: 'a second group in a container gets tables of its own',
    caughtAs: 'merge',
    world: 'merge',
    mutation: (model) => {
      const unit = onlyUnit(model)
      const attach = unit.attach.bind(unit)
      const first = new Map<Domain, number | undefined>()
      Object.assign(unit, {
        attach: (device: Parameters<Unit['attach']>[0], domain: Domain): void => {
          if (domain.type === 'unmanaged') {
            const owner = first.get(domain) ?? device.iommuGroup?.id
            first.set(domain, owner)
            if (owner !== device.iommuGroup?.id) throw new Errno('EINVAL')
          }
          attach(device, domain)
        },
      })
    },
  },
  {
    name: 'tables of a context are not freed',
    caughtAs: 'merge',
    world: 'merge',
    mutation: (model) => {
      const unit = onlyUnit(model)
      const create = unit.createDomain.bind(unit)
      Object.assign(unit, {
        createDomain: (type: Domain['type']): Domain =>
          Object.assign(create(type), { destroy: (): void => undefined }),
      })
    },
  },
  {
    name: 'a driver takes the lock of removal while it holds that of its device',
    caughtAs: 'deadlock',
    world: 'newcomer',
    among: /^(plug|pull|bind|unbind)/,
    mutation: ({ pci }) => {
      const driver = pci.bus.drivers.get('e1000')
      if (driver === undefined) throw new Error('no e1000')
      const remove = driver.remove.bind(driver)
      driver.remove = function* reversed(device: Device): Task<void> {
        yield* pci.rescanRemoveLock.with(() => remove(device))
      }
    },
  },
]
