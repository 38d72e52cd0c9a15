/** S7: the group is the least that can be had, not what one wants. Merged groups share one table. */
import { openModel } from 'isogroup/model'
import { give, giveBack, groupOf, mapDma, takeGroups, type Taken } from './steps.ts'

const COUNT = 8
const MIB = 2 ** 20
const port = { kind: 'root-port', below: [{ kind: 'nic', driver: null }] }
const machine = await openModel({
  iommu: { kind: 'intel' },
  buses: [{ devices: [{ ...port, repeat: COUNT }] }],
})
const { kernel } = machine
const ids: string[] = []
for (let bus = 1; bus <= COUNT; bus += 1) {
  const address = `0000:0${bus}:00.0`
  await give(kernel, address)
  ids.push(groupOf(kernel, address))
}
const memory = kernel.memory(64 * MIB)

await measure('apart ', await Promise.all(ids.map((id) => takeGroups(kernel, id))))
await measure('merged', [await takeGroups(kernel, ...ids)])

async function measure(how: string, taken: readonly Taken[]): Promise<void> {
  // A page off the alignment of large pages: every 4 KiB takes an entry of its own.
  for (const { container } of taken) mapDma(container, memory, 0x1000)
  const contexts = machine.contexts().filter(({ use }) => use === 'user')
  const tables = contexts.reduce((sum, { tableBytes }) => sum + tableBytes, 0)
  console.log(
    `${how}: ${ids.length} groups, ${contexts.length} contexts, ${taken.length} calls to map, ${tables} bytes of tables`,
  )
  for (const one of taken) await giveBack(one)
}
