/** S8: drivers attach to single devices; user access needs all devices of the group. */
import { CONTAINER_REQUEST, EXTENSION, GROUP_REQUEST, openModel } from 'isogroup/model'
import { attempt, bytes, driverOf, give, groupOf, isViable, setContainer } from './steps.ts'

const [GPU, SOUND] = ['0000:01:00.0', '0000:01:00.1']
const { kernel } = await openModel('desktop')
const id = groupOf(kernel, GPU)
const members = kernel.list(`/sys/kernel/iommu_groups/${id}/devices`)
const container = await kernel.open('/dev/vfio/vfio')

await give(kernel, GPU)
await tryIt()
await give(kernel, SOUND, 'pci-stub')
await tryIt()

async function tryIt(): Promise<void> {
  console.log(members.map((address) => `${address} on ${driverOf(kernel, address)}`).join(', '))
  const group = await kernel.open(`/dev/vfio/${id}`)
  console.log(`  viable: ${isViable(group)}`)
  console.log(`  SET_CONTAINER: ${await attempt(() => setContainer(group, container))}`)
  const choose = (): number => container.ioctl(CONTAINER_REQUEST.setIommu, EXTENSION.type1v2)
  console.log(`  SET_IOMMU: ${await attempt(choose)}`)
  const open = (): number => group.ioctl(GROUP_REQUEST.getDeviceDescriptor, bytes(`${GPU}\0`))
  console.log(`  GET_DEVICE_FD: ${await attempt(open)}`)
  await group.close()
}
