/** `show --json` */
import * as v from 'valibot'
import { address, deviceMembers, result, unknownReasons } from './shared-shapes.ts'
import { groupMembers } from './group-list.ts'

const id = v.pipe(v.string(), v.regex(/^[0-9a-f]{4}$/))
const boundary = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{16}$/))

export const details: v.GenericSchema = result('Details', {
  host: v.string(),
  target: v.pipe(v.string(), v.description('an address, a device name, or "group:13"')),
  group: v.nullable(
    v.strictObject({
      ...groupMembers,
      type: v.nullable(v.pipe(v.string(), v.description('default domain: "DMA", "identity", ...'))),
      name: v.nullable(v.string()),
      reserved: v.nullable(
        v.array(
          v.strictObject({
            start: boundary,
            end: v.pipe(boundary, v.description('inclusive')),
            kind: v.string(),
          }),
        ),
      ),
      unknown: unknownReasons,
    }),
  ),
  devices: v.array(
    v.strictObject({
      ...deviceMembers,
      revision: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{2}$/))),
      subsystem: v.nullable(v.strictObject({ vendor: id, device: id })),
      pcieType: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(15))),
      acs: v.nullable(v.strictObject({ capability: id, control: id })),
      resetMethods: v.nullable(v.array(v.string())),
      services: v.nullable(
        v.array(
          v.strictObject({
            kind: v.picklist([
              'net',
              'block',
              'nvme',
              'drm',
              'framebuffer',
              'input',
              'sound',
              'infiniband',
              'tty',
              'other',
            ]),
            name: v.string(),
          }),
        ),
      ),
      driverOverride: v.nullable(v.string()),
      numaNode: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0))),
      powerState: v.nullable(v.string()),
      runtimeStatus: v.nullable(v.string()),
      unit: v.nullable(v.string()),
      sriov: v.nullable(
        v.strictObject({
          totalVfs: v.pipe(v.number(), v.integer()),
          numVfs: v.pipe(v.number(), v.integer()),
          autoprobe: v.boolean(),
          virtualFunctions: v.array(address),
        }),
      ),
    }),
  ),
})
