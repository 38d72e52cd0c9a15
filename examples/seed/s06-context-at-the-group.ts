/** S6: the context hangs on the group. One attach moves all its devices, and VFIO never names a device for it. */
import { type ModelMachine, openModel } from 'isogroup/model'
import { bytes, give, giveBack, groupOf, mapDma, openDevice, takeGroups, text } from './steps.ts'

const CARD = ['0000:01:00.0', '0000:01:00.1']
const machine = await openModel('desktop')
const { kernel } = machine
const id = groupOf(kernel, '0000:01:00.0')
show('kernel drivers', machine)
for (const address of CARD) await give(kernel, address)
const group = await kernel.open(`/dev/vfio/${id}`)
show('group opened', machine)
await group.close()

const taken = await takeGroups(kernel, id)
show('in a container', machine)
const memory = kernel.memory(4096)
memory.bytes.set(bytes('frame'))
mapDma(taken.container, memory, 0x100000)
const devices = taken.groups.flatMap((one) =>
  CARD.map((address) => openDevice(kernel, one, address)),
)
for (const address of CARD)
  console.log(`  ${address} reads ${text(machine.device(address).read(0x100000, 5))}`)
await giveBack(taken, devices)
show('given back', machine)

function show(when: string, from: ModelMachine): void {
  const found = from.contexts().find(({ groups }) => groups.includes(id))
  console.log(`${when}: group ${id} points at context ${found?.number} (${found?.use})`)
}
