/**
 * The library: `import { openHost, buildTopology, ... } from 'isogroup'`.
 *
 *     const host = await openHost('linux')
 *     const snapshot = host.snapshot()
 *     const topology = buildTopology(snapshot)
 *     const rules = rulesFor(snapshot, null)
 *     const prediction = predictGroups(topology, snapshot, rules)
 *
 * Every step is one function over plain data; the program itself is made of the same ones.
 */
export { type ErrorCode, IsogroupError } from '../base/errors.ts'
export type { Fact } from '../base/fact.ts'
export type { Finding, Severity } from '../base/finding.ts'
export {
  formatKernelVersion,
  type KernelVersion,
  parseKernelVersion,
} from '../base/kernel-version.ts'
export { type Assessment, assess } from '../isolation/assess/assess.ts'
export { doctor } from '../isolation/assess/doctor.ts'
export type { DoctorReport } from '../isolation/assess/readiness.ts'
export { type Explained, explainDevice, explainPair } from '../isolation/explain/explain.ts'
export type { Explanation } from '../isolation/explain/explanation.ts'
export { comparePrediction } from '../isolation/groups/compare.ts'
export { predictGroups } from '../isolation/groups/predict.ts'
export type {
  GroupDifference,
  Join,
  PredictedGroup,
  Prediction,
} from '../isolation/groups/prediction.ts'
export { type Rules, rulesFor } from '../isolation/groups/rules.ts'
export type { Host, HostReadiness, HostSnapshot, PciFunction } from '../isolation/host.ts'
export { buildTopology, type Topology } from '../isolation/topology/topology.ts'
export { machineNames, openHost, SOURCE_FORMS } from './open-host.ts'
