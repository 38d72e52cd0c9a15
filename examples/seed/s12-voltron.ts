/** S12: five lions become Voltron: single devices, a group, a context, handles: one thing to work with. */
import { DEVICE_INFO, DEVICE_REQUEST, encodeStructure, openModel } from 'isogroup/model'
import { bytes, give, giveBack, groupOf, mapDma, openDevice, takeGroups, text } from './steps.ts'

const machine = await openModel({
  iommu: { kind: 'amd' },
  buses: [
    { devices: [{ kind: 'root-port', below: [{ functions: [{ kind: 'edu', repeat: 5 }] }] }] },
  ],
})
const { kernel } = machine
const lions = [0, 1, 2, 3, 4].map((n) => `0000:01:00.${n}`)
for (const lion of lions) await give(kernel, lion)
console.log(`groups of the five: ${lions.map((lion) => groupOf(kernel, lion)).join(' ')}`)

const taken = await takeGroups(kernel, groupOf(kernel, '0000:01:00.0'))
const memory = kernel.memory(4096)
mapDma(taken.container, memory, 0)
const handles = taken.groups.flatMap((group) =>
  lions.map((lion) => openDevice(kernel, group, lion)),
)
const info = encodeStructure(DEVICE_INFO, { argsz: DEVICE_INFO.bytes })
handles[0]?.ioctl(DEVICE_REQUEST.getInfo, info)
const [regions = 0, interrupts = 0] = new Uint32Array(info.buffer, 8, 2)
console.log(
  `${handles.length} handles, each with ${regions} regions and ${interrupts} kinds of interrupt`,
)
lions.forEach((lion, n) => machine.device(lion).write(n * 8, bytes(`lion ${n + 1}. `)))
console.log(`memory of the user: ${text(memory.bytes)}`)
await giveBack(taken, handles)
console.log(
  `after the last close: DMA ${machine.device('0000:01:00.0').write(0, bytes('x')) ? 'arrives' : 'is refused'}`,
)
