/** S5: without interrupt remapping isolation is strong enough for kernel drivers, not for users. */
import { assess, buildTopology, rulesFor } from 'isogroup'
import { type ModelMachine, openModel } from 'isogroup/model'
import { attempt, driverOf, give, groupOf, takeGroups } from './steps.ts'

const DISK = '0000:02:00.0'

for (const name of ['no-msi-isolation', 'desktop']) {
  const machine = await openModel(name)
  const { kernel } = machine
  console.log(`${name}: disk on ${driverOf(kernel, DISK)}, msi strength: ${msiStrength(machine)}`)
  const message = Uint8Array.of(0x31, 0, 0, 0)
  const forged = machine.device(DISK).write(0xfee00000, message)
  console.log(
    `  a message for vector 0x31 by DMA: ${forged ? 'raises the interrupt' : 'is blocked'}`,
  )
  await give(kernel, DISK)
  console.log(
    `  a user takes the group: ${await attempt(() => takeGroups(kernel, groupOf(kernel, DISK)))}`,
  )
  for (const line of machine.log.filter((one) => one.includes('interrupt remapping')))
    console.log(`  ${line}`)
}

/** The bit as isogroup shows it, from what user space can see. */
function msiStrength({ host }: ModelMachine): string {
  const snapshot = host.snapshot()
  const { groups } = assess(snapshot, buildTopology(snapshot), rulesFor(snapshot, null))
  const group = groups.find(({ members }) => members.some(({ address }) => address === DISK))
  return group?.strength.msi.verdict ?? 'no group'
}
