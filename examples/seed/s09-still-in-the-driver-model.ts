/** S9: a device in user hands stays in the driver model: it has a driver, is listed, and sleeps when idle. */
import { openModel } from 'isogroup/model'
import { driverOf, give, giveBack, groupOf, openDevice, takeGroups } from './steps.ts'

const DISK = '0000:02:00.0'
const { kernel } = await openModel('desktop')
show('on the host')
await give(kernel, DISK)
show('given, not used')
const taken = await takeGroups(kernel, groupOf(kernel, DISK))
const devices = taken.groups.map((group) => openDevice(kernel, group, DISK))
show('opened by a user')
await giveBack(taken, devices)
show('closed')
const drivers = '/sys/bus/pci/drivers/vfio-pci'
console.log(
  `devices of vfio-pci: ${kernel
    .list(drivers)
    .filter((name) => name.includes(':'))
    .join(' ')}`,
)
console.log(`groups in user hands: ${kernel.list('/sys/class/vfio').join(' ')}`)
await give(kernel, DISK, 'nvme')
show('given back')

function show(when: string): void {
  const read = (file: string): string => kernel.text(`/sys/bus/pci/devices/${DISK}/${file}`).trim()
  const power = `${read('power/control')}, ${read('power/runtime_status')}, ${read('power_state')}`
  console.log(`${when.padEnd(16)} ${driverOf(kernel, DISK).padEnd(8)} ${power}`)
}
