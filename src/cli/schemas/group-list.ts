/** `ls --json` */
import * as v from 'valibot'
import {
  device,
  deviceMembers,
  groupId,
  otherDevice,
  result,
  unknownReasons,
  verdict,
} from './shared-shapes.ts'

const guarantee = v.strictObject({
  verdict,
  evidence: v.pipe(v.string(), v.nonEmpty()),
})

export const strength: v.GenericSchema = v.strictObject({
  translation: v.pipe(guarantee, v.description('DMA goes through the IOMMU')),
  dma: v.pipe(guarantee, v.description("cannot reach other groups' memory")),
  p2p: v.pipe(guarantee, v.description('peer traffic cannot bypass the IOMMU')),
  msi: v.pipe(guarantee, v.description('interrupts are remapped')),
  reset: v.pipe(guarantee, v.description('resets stay inside the group')),
  identity: v.pipe(guarantee, v.description('no reserved region forces 1:1 memory')),
})

export const viability: v.GenericSchema = v.strictObject({
  verdict: v.picklist(['viable', 'not-viable', 'unknown']),
  rule: v.picklist(['since-5.19', 'before-5.19']),
  blockers: v.array(v.strictObject({ device: v.string(), driver: v.string(), reason: v.string() })),
  unknowns: v.array(v.strictObject({ device: v.string(), why: v.string() })),
  owner: v.picklist(['kernel', 'user', 'none', 'mixed', 'unknown']),
})

export const groupMembers: v.ObjectEntries = {
  id: groupId,
  devices: v.array(device),
  others: v.array(otherDevice),
  unlisted: v.pipe(v.array(v.string()), v.description('members that could not be read')),
  strength,
  viability,
}

export const ungroupedDevice: v.GenericSchema = v.strictObject({
  ...deviceMembers,
  reason: v.string(),
  kind: v.pipe(
    v.picklist(['normal', 'no-group', 'unknown']),
    v.description('normal: expected on a host with its IOMMU on'),
  ),
})

export const groupList: v.GenericSchema = result('GroupList', {
  host: v.string(),
  kernel: v.nullable(v.pipe(v.string(), v.description('release, as uname -r prints it'))),
  groups: v.array(v.strictObject(groupMembers)),
  ungrouped: v.array(ungroupedDevice),
  unknown: unknownReasons,
})
