/**
 * /sys/module: loaded modules and the parameters of built-in ones (kernel/module/sysfs.c, kernel/params.c).
 *
 *     vfio_pci/initstate                      "live"; modules only, built-in code has none
 *     vfio_pci/parameters/disable_idle_d3     "N", writable where the driver allows it
 *     vfio_pci/drivers/pci:vfio-pci -> ../../../bus/pci/drivers/vfio-pci
 */
import { atLeast, type KernelVersion } from '../../base/kernel-version.ts'
import { decodeUtf8 } from '../../base/utf8.ts'
import type { Driver } from '../driver-core/driver.ts'
import { type Directory, directory, type File, relativeLink, textFile } from '../sysfs/node.ts'
import type { Task } from '../task.ts'

export interface Module {
  /** With underscores: "vfio_pci". */
  readonly name: string
  readonly parameters: readonly Parameter[]
  readonly drivers: readonly Driver[]
}

/** A parameter of a module; those of VFIO are in vfio/module-parameters.ts. */
interface Parameter {
  readonly module: string
  readonly name: string
  readonly mode: number
  get(): string
  set(text: string): void
}

/** What the VFIO drivers are made of, beside the module that a driver itself is in. */
function vfioModules(version: KernelVersion): readonly string[] {
  const modules = ['irqbypass', 'vfio', 'vfio_iommu_type1', 'vfio_pci_core']
  // Its interrupt handling moved into vfio itself with 6.3.
  return atLeast(version, 6, 3) ? modules : [...modules, 'vfio_virqfd']
}

/** The modules that drivers and parameters belong to, by name: every one of them is loaded. */
export function modulesOf(
  version: KernelVersion,
  drivers: Iterable<Driver>,
  parameters: readonly Parameter[],
): ReadonlyMap<string, Module> {
  const byModule = new Map<string, Driver[]>(vfioModules(version).map((name) => [name, []]))
  for (const { module } of parameters) if (!byModule.has(module)) byModule.set(module, [])
  for (const driver of drivers) {
    if (driver.module === null) continue
    const list = byModule.get(driver.module) ?? []
    list.push(driver)
    byModule.set(driver.module, list)
  }
  return new Map(
    [...byModule].map(([name, own]) => {
      const set = parameters.filter(({ module }) => module === name)
      return [name, { name, parameters: set, drivers: own }]
    }),
  )
}

export function moduleDirectory(modules: () => ReadonlyMap<string, Module>): Directory {
  return {
    kind: 'directory',
    list: () => [...modules().keys()],
    find: (name) => {
      const module = modules().get(name)
      return module === undefined ? undefined : oneModule(module)
    },
  }
}

function oneModule({ name, parameters, drivers }: Module): Directory {
  const from = `/module/${name}/drivers`
  return directory({
    drivers: () =>
      drivers.length === 0
        ? undefined
        : directory(
            Object.fromEntries(
              drivers.map((driver) => [
                `${driver.bus.name}:${driver.name}`,
                () => relativeLink(from, `/bus/${driver.bus.name}/drivers/${driver.name}`),
              ]),
            ),
          ),
    initstate: () => textFile(() => 'live\n'),
    parameters: () =>
      parameters.length === 0
        ? undefined
        : directory(
            Object.fromEntries(parameters.map((one) => [one.name, () => parameterFile(one)])),
          ),
    refcnt: () => textFile(() => '0\n'),
  })
}

function parameterFile(parameter: Parameter): File {
  const { mode } = parameter
  const read = (): string => parameter.get()
  if ((mode & 0o200) === 0) return { kind: 'file', mode, read }
  return {
    kind: 'file',
    mode,
    read,
    // biome-ignore lint/correctness/useYield: a store is a task
    *write(bytes): Task<void> {
      parameter.set(decodeUtf8(bytes))
    },
  }
}
