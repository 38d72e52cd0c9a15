/** S3: iommu_ops. A group has one owner, and what the owner maps is nobody else's. */
import { openModel } from 'isogroup/model'
import { attempt, bytes, give, groupOf, mapDma, openDevice, takeGroups, text } from './steps.ts'

const [GPU, SOUND, DISK] = ['0000:01:00.0', '0000:01:00.1', '0000:02:00.0']
const machine = await openModel('desktop')
const { kernel } = machine
await give(kernel, GPU)
await give(kernel, DISK)
await kernel.write(`/sys/bus/pci/devices/${SOUND}/driver/unbind`, bytes(SOUND), 1000)

const alice = machine.as({ name: 'alice', uid: 0 })
const bob = machine.as({ name: 'bob', uid: 0 })
const hers = await takeGroups(alice, groupOf(kernel, GPU))
const his = await takeGroups(bob, groupOf(kernel, DISK))
const memory = bob.memory(4096)
memory.bytes.set(bytes('secret'))
mapDma(his.container, memory, 0x10000)
for (const group of hers.groups) openDevice(alice, group, GPU)
for (const group of his.groups) openDevice(bob, group, DISK)

for (const { number, use, groups } of machine.contexts()) {
  if (use === 'user')
    console.log(`context ${number} belongs to the user of group ${groups.join(' ')}`)
}
console.log(`bob's disk reads "${text(machine.device(DISK).read(0x10000, 6))}"`)
console.log(`alice's graphics card reads ${text(machine.device(GPU).read(0x10000, 6))}`)
const group = `/dev/vfio/${groupOf(kernel, GPU)}`
console.log(`bob opens alice's group: ${await attempt(() => bob.open(group))}`)
const driver = '/sys/bus/pci/drivers/snd_hda_intel/bind'
const bind = await attempt(() => kernel.write(driver, bytes(SOUND), 1000))
console.log(`a kernel driver for the other device of her group: ${bind}`)
