/** S2: dma_ops. A driver's buffer is mapped in the context of its device's group; all of the group share it. */
import { openModel } from 'isogroup/model'
import { bytes, driverOf, groupOf, text } from './steps.ts'

const machine = await openModel({
  iommu: { kind: 'intel' },
  buses: [
    {
      devices: [
        { kind: 'root-port', below: [{ functions: [{ kind: 'nic' }, { kind: 'nic' }] }] },
        { kind: 'root-port', below: [{ kind: 'nvme' }] },
      ],
    },
  ],
})
const buffer = machine.device('0000:01:00.0').driverMemory(4096)
buffer.bytes.set(bytes('packet'))
for (const address of ['0000:01:00.0', '0000:01:00.1', '0000:02:00.0']) {
  const seen = machine.device(address).read(buffer.address, 6)
  const { kernel } = machine
  console.log(
    `${address} ${driverOf(kernel, address)}, group ${groupOf(kernel, address)}: reads ${text(seen)}`,
  )
}
for (const { requester, reason } of machine.faults())
  console.log(`fault of ${requester}: ${reason}`)
