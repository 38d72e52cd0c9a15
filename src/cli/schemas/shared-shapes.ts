/**
 * Schemas of the parts that several results share. They describe what the command line prints; the
 * command line itself does not load them: tests hold output and schema together.
 */
import * as v from 'valibot'

export const address: v.GenericSchema = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/),
  v.description('PCI address in full, lower case: "0000:01:00.0"'),
)

export const groupId: v.GenericSchema = v.pipe(
  v.string(),
  v.description('number of a group as text; never an identity, it changes between boots'),
)

export const unknownReasons: v.GenericSchema = v.pipe(
  v.record(v.string(), v.string()),
  v.description('why a member beside it is null although it need not be, by member name'),
)

export const verdict: v.GenericSchema = v.picklist(['yes', 'no', 'unknown'])

export const findingMembers: v.ObjectEntries = {
  code: v.pipe(v.string(), v.regex(/^[A-Z]+(-[A-Z0-9]+)+$/), v.description('see findings.md')),
  severity: v.picklist(['ok', 'info', 'warning', 'problem', 'unknown']),
  fact: v.string(),
  evidence: v.array(v.string()),
  remedy: v.pipe(v.string(), v.description('empty when nothing needs doing')),
  about: v.pipe(v.array(v.string()), v.description('addresses or group ids')),
}

export const finding: v.GenericSchema = v.strictObject(findingMembers)

export const deviceMembers: v.ObjectEntries = {
  address,
  vendor: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{4}$/))),
  device: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{4}$/))),
  class: v.nullable(
    v.pipe(
      v.string(),
      v.regex(/^[0-9a-f]{6}$/),
      v.description('base class, sub-class, programming interface'),
    ),
  ),
  name: v.nullable(v.string()),
  className: v.nullable(v.string()),
  driver: v.nullable(v.pipe(v.string(), v.description('null when none is bound or it is unknown'))),
  physicalFunction: v.nullable(address),
  unknown: unknownReasons,
}

export const device: v.GenericSchema = v.strictObject(deviceMembers)

export const otherDevice: v.GenericSchema = v.pipe(
  v.strictObject({
    name: v.string(),
    bus: v.nullable(v.string()),
    driver: v.nullable(v.string()),
    unknown: unknownReasons,
  }),
  v.description('a member of a group that is no PCI function'),
)

export const join: v.GenericSchema = v.strictObject({
  code: v.picklist(['no-acs-above', 'multifunction', 'bridge-alias', 'quirk-alias', 'dma-host']),
  device: address,
  joins: address,
  decider: v.pipe(address, v.description('the function whose registers or quirk decide')),
  reason: v.string(),
  evidence: v.array(v.string()),
  certainty: v.picklist(['certain', 'possible']),
})

/** Every result begins with these two. */
export function result(kind: string, members: v.ObjectEntries): v.GenericSchema {
  return v.strictObject({
    apiVersion: v.literal('isogroup/v1'),
    kind: v.literal(kind),
    ...members,
  })
}
