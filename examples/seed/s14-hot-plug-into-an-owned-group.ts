/** S14: the group of a new device is known before any driver is asked, so a user's group stays whole. */
import { openModel } from 'isogroup/model'
import { attempt, bytes, driverOf, give, giveBack, groupOf, takeGroups } from './steps.ts'

const [NIC, USB] = ['0000:08:00.0', '0000:09:00.0']
const machine = await openModel('switch-without-acs')
const { kernel } = machine
await machine.pull(USB)
await give(kernel, NIC)
const taken = await takeGroups(kernel, groupOf(kernel, NIC))
console.log(`a user owns group ${groupOf(kernel, NIC)}`)

machine.events()
const added = await machine.plug('nic', '0000:07:01.0')
for (const { kind, text } of machine.events()) console.log(`  ${kind.padEnd(6)} ${text}`)
console.log(`${added}: group ${groupOf(kernel, added)}, driver ${driverOf(kernel, added)}`)
const bind = (): Promise<void> =>
  kernel.write('/sys/bus/pci/drivers/e1000e/bind', bytes(added), 1000)
console.log(`bind by hand: ${await attempt(bind)}`)
await giveBack(taken)
console.log(`bind after the user has gone: ${await attempt(bind)}`)
