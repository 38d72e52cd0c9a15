/** S11: 'while (true); do cat /dev/vfio/$GROUP; done' must not take devices from the host. */
import { openModel } from 'isogroup/model'
import { attempt, bytes, driverOf, give, groupOf } from './steps.ts'

const machine = await openModel('desktop')
const { kernel } = machine
await give(kernel, '0000:01:00.1')
const id = groupOf(kernel, '0000:01:00.1')
await kernel.write('/sys/bus/pci/devices/0000:01:00.1/driver_override', bytes('\n'), 1000)

const bindings = (): string =>
  kernel
    .list('/sys/bus/pci/devices')
    .map((address) => `${address} ${driverOf(kernel, address)}`)
    .join('\n')
const before = bindings()
machine.events()
for (let n = 0; n < 1000; n += 1) {
  const group = await kernel.open(`/dev/vfio/${id}`)
  await attempt(() => group.read(0, 1))
  await group.close()
}
console.log('group opened and closed 1000 times')
console.log(`bindings: ${bindings() === before ? 'unchanged' : 'changed'}`)
console.log(`events and messages: ${machine.events().length}`)
const guest = machine.as({ uid: 1000 })
console.log(`opened by uid 1000: ${await attempt(() => guest.open(`/dev/vfio/${id}`))}`)
