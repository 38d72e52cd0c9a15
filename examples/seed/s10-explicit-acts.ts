/** S10: nothing goes to a user by itself. Each device is an explicit act, and a loop makes it bearable. */
import { openModel } from 'isogroup/model'
import { driverOf, give, groupOf } from './steps.ts'

const machine = await openModel('desktop')
const { kernel } = machine
const id = groupOf(kernel, '0000:01:00.0')
const members = kernel.list(`/sys/kernel/iommu_groups/${id}/devices`)
const before = members.map((address) => driverOf(kernel, address))
console.log(`group ${id}: ${members.join(' ')}, drivers: ${before.join(' ')}`)

machine.events()
for (const address of members) await give(kernel, address)
for (const { kind, text } of machine.events()) {
  if (kind === 'uevent' && text.endsWith('(pci)')) console.log(`  ${text}`)
}
console.log(`drivers: ${members.map((address) => driverOf(kernel, address)).join(' ')}`)

const address = '0000:03:00.0'
await machine.pull(address)
await machine.plug('nic', '0000:00:1c.1')
console.log(`${address}, newly plugged: ${driverOf(kernel, address)}`)
