/**
 * Virtual functions: drivers/pci/iov.c. A write to `sriov_numvfs` asks the driver of the physical
 * function, and a driver that is able to calls back here.
 *
 *     numbers and checks --> VF Enable --> each: registered, linked, "change", offered to drivers
 *                                      --> "change" of the physical function
 */
import { hex } from '../../pci/address.ts'
import { Errno } from '../errno.ts'
import { relativeLink } from '../sysfs/node.ts'
import type { Task } from '../task.ts'
import { addOne } from './add-devices.ts'
import type { PciBus } from './pci-bus.ts'
import { PciDevice, type SriovState } from './pci-device.ts'
import { busKey, logDevice, type PciState } from './pci-state.ts'
import { removeBus, stopAndRemove } from './remove.ts'
import { addBus, registerDevice } from './scan.ts'
import { SRIOV, VFS_ON, vfPlace } from './sriov-capability.ts'

const VF_MIGRATION = 0x01

/**
 * pci_enable_sriov(): for drivers' sriovConfigure. The caller holds the lock of the physical function.
 * @throws Errno ENOSYS (no SR-IOV), EINVAL (enabled already, or more than there are), EIO, ENOMEM
 */
export function* enableSriov(state: PciState, device: PciDevice, count: number): Task<void> {
  const { sriov } = device
  if (sriov === null) throw new Errno('ENOSYS', `${device.name} has no virtual functions`)
  if (count === 0) return
  checkEnable(state, device, sriov, count)
  const { config } = device.hardware
  const { capability } = sriov
  config.write(capability + SRIOV.numVfs, 2, count)
  const control = config.read(capability + SRIOV.control, 2)
  config.write(capability + SRIOV.control, 2, control | VFS_ON)
  for (let index = 0; index < count; index++) {
    try {
      yield* addVirtual(state, device, sriov, index)
    } catch (error) {
      yield* switchOff(state, device, sriov, index)
      throw error
    }
  }
  state.context.uevents.emit('change', device)
  sriov.numVfs = count
}

function checkEnable(state: PciState, device: PciDevice, sriov: SriovState, count: number): void {
  const { config } = device.hardware
  const read = (offset: number): number => config.read(sriov.capability + offset, 2)
  if (sriov.numVfs !== 0) throw new Errno('EINVAL', `${device.name} has virtual functions already`)
  const initial = read(SRIOV.initialVfs)
  const migrates = (config.read(sriov.capability + SRIOV.capabilities, 4) & VF_MIGRATION) !== 0
  if (initial > sriov.totalVfs || (!migrates && initial !== sriov.totalVfs)) {
    throw new Errno('EIO', `${device.name} contradicts itself about its virtual functions`)
  }
  if (count < 0 || count > sriov.totalVfs) throw new Errno('EINVAL', `${String(count)} is too many`)
  const last = vfPlace(device, sriov, count - 1).bus
  if (last > device.pciBus.lastNumber) {
    const { number, lastNumber } = device.pciBus
    const range =
      number === lastNumber
        ? `[bus ${hex(number, 2)}]`
        : `[bus ${hex(number, 2)}-${hex(lastNumber, 2)}]`
    const text = `can't enable ${String(count)} VFs (bus ${hex(last, 2)} out of range of ${range})`
    logDevice(state, device, text)
    throw new Errno('ENOMEM', text)
  }
  const link = (device.devfn & ~7) | read(SRIOV.link)
  if (link !== device.devfn && device.pciBus.function(link) === undefined) {
    throw new Errno('ENODEV', `${device.name} depends on a function that is not there`)
  }
}

/** pci_iov_add_virtfn() */
function* addVirtual(
  state: PciState,
  physical: PciDevice,
  sriov: SriovState,
  index: number,
): Task<void> {
  const hardware = physical.hardware.virtualFunction?.(index)
  if (hardware === undefined) throw new Errno('ENODEV', `${physical.name} lacks the hardware`)
  const { bus: number, devfn } = vfPlace(physical, sriov, index)
  const pciBus = yield* busOfVirtual(state, physical.pciBus, number)
  const device = new PciDevice({
    at: { domain: physical.at.domain, bus: number, device: devfn >> 3, function: devfn & 7 },
    bus: state.bus,
    parent: physical.parent ?? physical,
    pciBus,
    hardware,
    physicalFunction: physical,
  })
  physical.virtualFunctions[index] = device
  yield* registerDevice(state, device)
  physical.links.set(`virtfn${String(index)}`, relativeLink(physical.path, device.path))
  device.links.set('physfn', relativeLink(device.path, physical.path))
  state.context.uevents.emit('change', device)
  yield* addOne(state, device)
}

/** virtfn_add_bus(): numbers above the physical function's have buses without a bridge. */
function* busOfVirtual(state: PciState, physical: PciBus, number: number): Task<PciBus> {
  if (number === physical.number) return physical
  const known = state.buses.get(busKey(physical.domain, number))
  return known ?? (yield* addBus(state, physical, null, number))
}

/** pci_disable_sriov(): virtual functions go one after the other, then VF Enable is cleared. */
export function* disableSriov(state: PciState, device: PciDevice): Task<void> {
  const { sriov } = device
  if (sriov === null || sriov.numVfs === 0) return
  yield* switchOff(state, device, sriov, sriov.numVfs)
}

function* switchOff(
  state: PciState,
  device: PciDevice,
  sriov: SriovState,
  count: number,
): Task<void> {
  for (let index = 0; index < count; index++) yield* removeVirtual(state, device, index)
  const { config } = device.hardware
  const control = config.read(sriov.capability + SRIOV.control, 2)
  config.write(sriov.capability + SRIOV.control, 2, control & ~VFS_ON)
  sriov.numVfs = 0
  config.write(sriov.capability + SRIOV.numVfs, 2, 0)
}

/** pci_iov_remove_virtfn(). One that was removed by its own file leaves its link behind, as on Linux. */
function* removeVirtual(state: PciState, physical: PciDevice, index: number): Task<void> {
  const device = physical.virtualFunctions[index]
  physical.virtualFunctions[index] = undefined
  if (device === undefined || device.destroyed) return
  physical.links.delete(`virtfn${String(index)}`)
  device.links.delete('physfn')
  yield* stopAndRemove(state, device)
  const { pciBus } = device
  if (pciBus !== physical.pciBus && pciBus.devices.length === 0) yield* removeBus(state, pciBus)
}
