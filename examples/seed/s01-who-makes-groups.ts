/** S1: groups are made while devices appear: at boot, and at every hot plug before anybody can use them. */
import { openModel } from 'isogroup/model'

const machine = await openModel('desktop')
const boot = machine.log.filter((line) => line.includes('Adding to iommu group'))
console.log(`boot: ${boot.length} functions put into groups, for example`)
for (const line of boot.slice(0, 2)) console.log(`  ${line}`)

await machine.pull('0000:03:00.0')
machine.events()
const address = await machine.plug('nvme', '0000:00:1c.1')
console.log(`hot plug of ${address}:`)
for (const { kind, text } of machine.events()) {
  if (text.includes(address)) console.log(`  ${kind.padEnd(6)} ${text}`)
}
