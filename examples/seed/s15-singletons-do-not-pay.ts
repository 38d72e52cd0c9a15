/** S15: most hosts have one device in every group, and nobody there has to know that groups exist. */
import { type Kernel, openModel } from 'isogroup/model'
import { driverOf, give, giveBack, groupOf, mapDma, takeGroups } from './steps.ts'

const port = { kind: 'root-port', below: [{ kind: 'nvme' }] }
const machine = await openModel({
  iommu: { kind: 'intel' },
  buses: [{ devices: [{ ...port, repeat: 32 }] }],
})
let writes = 0
const kernel: Kernel = {
  ...machine.kernel,
  write: (...call) => {
    writes += 1
    return machine.kernel.write(...call)
  },
}
const groups = kernel.list('/sys/kernel/iommu_groups')
const sizes = groups.map((id) => kernel.list(`/sys/kernel/iommu_groups/${id}/devices`).length)
console.log(
  `${kernel.list('/sys/bus/pci/devices').length} functions, ${groups.length} groups, the largest has ${Math.max(...sizes)}`,
)
const disks = kernel.list('/sys/bus/pci/drivers/nvme').filter((name) => name.includes(':'))
console.log(`disks on their driver after boot: ${disks.length}`)

const [disk = ''] = disks
await give(kernel, disk)
console.log(
  `writes to hand over one disk: ${writes}, as without groups; driver ${driverOf(kernel, disk)}`,
)
const taken = await takeGroups(kernel, groupOf(kernel, disk))
mapDma(taken.container, kernel.memory(4096), 0)
console.log(
  `the other disks on their driver: ${kernel.list('/sys/bus/pci/drivers/nvme').filter((name) => name.includes(':')).length}`,
)
await giveBack(taken)
