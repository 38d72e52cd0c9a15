/**
 * /sys/module: loaded modules and the parameters of built-in ones (kernel/module/sysfs.c, kernel/params.c).
 *
 *     vfio_pci/initstate                      "live"; modules only, built-in code has none
 *     vfio_pci/parameters/disable_idle_d3     "N", writable where the driver allows it
 *     vfio_pci/drivers/pci:vfio-pci -> ../../../bus/pci/drivers/vfio-pci
 */
import type { Driver } from '../driver-core/driver.ts'
import { type Directory, directory, type File, relativeLink, textFile } from '../sysfs/node.ts'

export interface Module {
  /** With underscores: "vfio_pci". */
  readonly name: string
  readonly parameters: Readonly<Record<string, File>>
  readonly drivers: readonly Driver[]
}

/** The modules that drivers come from, and those that only have parameters, by name. */
export function modulesOf(
  drivers: Iterable<Driver>,
  parameters: Readonly<Record<string, Readonly<Record<string, File>>>>,
): ReadonlyMap<string, Module> {
  const byModule = new Map<string, Driver[]>()
  for (const name of Object.keys(parameters)) byModule.set(name, [])
  for (const driver of drivers) {
    if (driver.module === null) continue
    const list = byModule.get(driver.module) ?? []
    list.push(driver)
    byModule.set(driver.module, list)
  }
  return new Map(
    [...byModule].map(([name, own]) => [
      name,
      { name, parameters: parameters[name] ?? {}, drivers: own },
    ]),
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
      Object.keys(parameters).length === 0
        ? undefined
        : directory(
            Object.fromEntries(Object.entries(parameters).map(([key, file]) => [key, () => file])),
          ),
    refcnt: () => textFile(() => '0\n'),
  })
}
