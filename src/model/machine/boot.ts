/**
 * From power-on to a running system, in Linux's order (init/main.c, the initcall levels):
 *
 *     PCI buses scanned, every function registered     subsys_initcall   acpi_init, pci_subsys_init
 *     IOMMU units take over, groups formed             rootfs_initcall   pci_iommu_init
 *     drivers registered, each offered every function  device_initcall   pcieport first, then modules
 *     virtual functions, vfio-pci, ...                 what an administrator's scripts do
 *
 * Functions come before IOMMU units, so at boot groups follow the units' order; on hot plug the unit is
 * there first and the function gets its group while it is being added.
 */
import { attachDevice, bindDriver, registerDriver } from '../driver-core/bind.ts'
import type { Driver } from '../driver-core/driver.ts'
import { deviceId } from '../drivers/device-ids.ts'
import { knownDrivers } from '../drivers/known.ts'
import { Errno } from '../errno.ts'
import { createUnits } from '../iommu/units.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import { disableSriov, enableSriov } from '../pci/sriov.ts'
import type { Task } from '../task.ts'
import { vfioPciDriver } from '../vfio/vfio-pci.ts'
import { NO_USES } from './host-uses.ts'
import type { KernelParts } from './kernel-parts.ts'
import { addVirtualDevices } from './virtual-devices.ts'

export function* boot(parts: KernelParts): Task<void> {
  const { context, machine, pci, iommu, fabric } = parts
  yield* pci.scan()
  if (machine.iommu !== null) {
    for (const unit of createUnits(context, machine.iommu)) iommu.registerUnit(unit, [pci.bus])
    fabric.rewired()
  }
  const chosen = holdBack(parts)
  for (const driver of drivers(parts)) yield* registerDriver(context, driver)
  for (const { device, driver } of chosen) {
    device.matchable = true
    if (driver !== null) yield* giveTo(parts, device, driver)
  }
  yield* enableVirtualFunctions(parts)
  yield* addVirtualDevices(parts)
}

function drivers(parts: KernelParts): readonly Driver[] {
  const { context, machine, pci, dma, descriptions, vfio, fabric } = parts
  const services = {
    context,
    bus: pci.bus,
    dma,
    describe: (address: string) => descriptions.get(address),
    firmwareHotPlug: machine.firmwareHotPlug ?? false,
    uses: machine.uses ?? NO_USES,
    enableSriov: (device: PciDevice, count: number) => enableSriov(pci, device, count),
    disableSriov: (device: PciDevice) => disableSriov(pci, device),
  }
  const all = [...knownDrivers(services, machine.drivers), vfioPciDriver(context, vfio, fabric)]
  const { loaded } = machine
  if (loaded === undefined) return all
  const isLoaded = ({ name }: Driver): boolean => loaded.includes(name)
  parts.unloaded.push(...all.filter((driver) => !isLoaded(driver)))
  return all.filter(isLoaded)
}

interface Chosen {
  readonly device: PciDevice
  readonly driver: string | null
}

/** Functions of which the description says who has them are kept from whoever would match. */
function holdBack({ machine, pci }: KernelParts): readonly Chosen[] {
  const chosen: Chosen[] = []
  for (const { at, driver } of machine.functions) {
    const device = pci.device(at)
    if (driver === undefined || device === undefined) continue
    device.matchable = false
    chosen.push({ device, driver })
  }
  return chosen
}

/**
 * A driver that does not match by itself gets the function as an administrator gives it: VFIO drivers by
 * override, as `driverctl` does, others through new_id.
 */
function* giveTo({ context, pci }: KernelParts, device: PciDevice, name: string): Task<void> {
  const driver = pci.bus.drivers.get(name)
  if (driver === undefined) {
    context.log.push(`${device.name}: there is no driver ${name}`)
    return
  }
  if (!pci.bus.operations.match(device, driver)) {
    if (driver.isVfio || driver.managesDma) device.driverOverride = name
    else driver.dynamicIds.push(deviceId(device.vendor, device.device))
  }
  try {
    yield* bindDriver(context, device, driver)
  } catch (error) {
    if (!(error instanceof Errno)) throw error
    context.log.push(`${device.name}: ${name} could not be bound: ${error.code}`)
  }
}

/** Some functions are for chosen drivers: then they are made without offering them to anybody. */
function* enableVirtualFunctions(parts: KernelParts): Task<void> {
  const { context, machine, pci } = parts
  for (const { at, virtualFunctions = [] } of machine.functions) {
    const device = pci.device(at)
    const sriov = device?.sriov ?? null
    if (virtualFunctions.length === 0 || device === undefined || sriov === null) continue
    const { autoprobe } = sriov
    if (virtualFunctions.some(({ driver }) => driver !== undefined)) sriov.autoprobe = false
    yield* enableSriov(pci, device, virtualFunctions.length)
    if (sriov.autoprobe === autoprobe) continue
    sriov.autoprobe = autoprobe
    for (const [index, { driver }] of virtualFunctions.entries()) {
      const virtual = device.virtualFunctions[index]
      if (virtual === undefined || driver === null) continue
      if (driver === undefined) yield* attachDevice(context, virtual)
      else yield* giveTo(parts, virtual, driver)
    }
  }
}
