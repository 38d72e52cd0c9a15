/** S4: an IOMMU that translates without isolating makes no groups, so nothing can be handed to a user. */
import { openModel } from 'isogroup/model'
import { bytes, driverOf, give, groupOf, text } from './steps.ts'

const NIC = '0000:01:00.0'
const DISK = '0000:02:00.0'
const machine = await openModel('translation-only')
const { kernel } = machine
console.log(`groups: ${kernel.list('/sys/kernel/iommu_groups').length}`)
console.log(`${NIC}: driver ${driverOf(kernel, NIC)}, group ${groupOf(kernel, NIC)}`)

const buffer = machine.device(NIC).driverMemory(4096)
buffer.bytes.set(bytes('packet'))
console.log(
  `the disk reads the network card's buffer: "${text(machine.device(DISK).read(buffer.address, 6))}"`,
)
buffer.release()

await give(kernel, NIC)
console.log(`given to vfio-pci: driver ${driverOf(kernel, NIC)}`)
console.log(machine.log.filter((line) => line.includes('vfio-pci')).at(-1) ?? 'no message')
const { groups } = machine.host.snapshot()
console.log(`isogroup sees ${groups.known ? groups.value.length : 'an unknown number of'} groups`)
