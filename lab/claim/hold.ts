/**
 * Runs in the guest: a user of a group, as a virtual machine is one. Opens the group's node, puts it into a
 * container, opens devices of it, says so, and waits until it is killed.
 *
 *     node hold.mjs GROUP [ADDRESS...]
 */
import { CONTAINER_REQUEST, EXTENSION, GROUP_REQUEST } from '../../src/kernel/abi/vfio.ts'
import { liveKernel } from '../../src/kernel/native/live-kernel.ts'

const [group = '', ...addresses] = process.argv.slice(2)
const kernel = liveKernel()
const container = await kernel.open('/dev/vfio/vfio')
const node = await kernel.open(`/dev/vfio/${group}`)
const descriptor = Buffer.alloc(4)
descriptor.writeInt32LE(container.descriptor)
node.ioctl(GROUP_REQUEST.setContainer, descriptor)
container.ioctl(CONTAINER_REQUEST.setIommu, EXTENSION.type1v2)
for (const address of addresses) {
  node.ioctl(GROUP_REQUEST.getDeviceDescriptor, Buffer.from(`${address}\0`, 'latin1'))
}
process.stdout.write('holding\n')
setInterval(() => undefined, 1_000_000)
