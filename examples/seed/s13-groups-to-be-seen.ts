/** S13: the core itself shows groups, to everybody: no scanning of ids, no rights needed. */
import { openModel } from 'isogroup/model'
import { groupOf } from './steps.ts'

const machine = await openModel('desktop')
const anybody = machine.as({ uid: 1000 })
const GROUPS = '/sys/kernel/iommu_groups'
for (const id of anybody.list(GROUPS)) {
  const type = anybody.text(`${GROUPS}/${id}/type`).trim()
  console.log(`${id}: ${anybody.list(`${GROUPS}/${id}/devices`).join(' ')} (${type})`)
}
console.log(`the other way: 0000:02:00.0 is in group ${groupOf(anybody, '0000:02:00.0')}`)
const unit = anybody.list('/sys/class/iommu/dmar0/devices').length
console.log(`from the IOMMU: dmar0 has ${unit} devices`)
