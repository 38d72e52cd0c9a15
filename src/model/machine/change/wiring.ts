/**
 * How functions are wired to the IOMMU: scopes of units, partitionable endpoints, reserved regions. Firmware
 * tells them by place, so what is plugged elsewhere is wired as its new neighbours are.
 */
import type { FunctionDescription, IommuDescription } from '../description.ts'

type Units = IommuDescription['units']
type Partitions = NonNullable<IommuDescription['partitions']>

/** The same wiring for functions under new names; what has none any more is left out. */
export function renamedWiring(
  iommu: IommuDescription,
  names: ReadonlyMap<string, string>,
): IommuDescription {
  const follow = (old: readonly string[]): readonly string[] =>
    old.flatMap((name) => names.get(name) ?? [])
  const { units, reserved, partitions } = iommu
  return {
    ...iommu,
    units: units.map((unit) => ({
      ...unit,
      scope: unit.scope === null ? null : follow(unit.scope),
    })),
    reserved: reserved.flatMap((region) => follow([region.at]).map((at) => ({ ...region, at }))),
    ...(partitions === undefined
      ? {}
      : {
          partitions: partitions.map(({ pe, functions }) => ({ pe, functions: follow(functions) })),
        }),
  }
}

/**
 * @param moved functions that were added, or have another place than before; above before below
 * @param functions all of the machine
 */
export function rewired(
  iommu: IommuDescription,
  moved: readonly string[],
  functions: readonly FunctionDescription[],
): IommuDescription {
  const { units, partitions } = iommu
  return {
    ...iommu,
    units: rewiredUnits(units, moved, functions),
    ...(partitions === undefined ? {} : { partitions: rewiredPartitions(partitions, moved) }),
  }
}

/**
 * Scopes reach down to all below, so what is plugged into a port has the port's unit. A newcomer on a root
 * bus gets the unit that has most of the bus; where none has any, functions keep the one they had.
 */
function rewiredUnits(
  units: Units,
  moved: readonly string[],
  functions: readonly FunctionDescription[],
): Units {
  const above = new Map(functions.map(({ at, parent }) => [at, parent]))
  const scopes = units.map(({ scope }) => scope?.filter((at) => !moved.includes(at)) ?? null)
  const isCovered = (at: string | null): boolean =>
    at !== null &&
    (scopes.some((scope) => scope?.includes(at) === true) || isCovered(above.get(at) ?? null))
  for (const at of moved) {
    if (isCovered(at) || scopes.includes(null)) continue
    const own = units.findIndex(({ scope }) => scope?.includes(at))
    scopes[above.get(at) === null ? neighbour(scopes, at, own) : own]?.push(at)
  }
  return units.map((unit, n) => ({ ...unit, scope: scopes[n] ?? null }))
}

/** The scope that has most functions on the bus of `at`; `otherwise` where none has any. */
function neighbour(
  scopes: readonly (readonly string[] | null)[],
  at: string,
  otherwise: number,
): number {
  const shares = scopes.map((scope) => (scope ?? []).filter((one) => sameBus(one, at)).length)
  const most = Math.max(...shares)
  return most > 0 ? shares.indexOf(most) : otherwise
}

/** On POWER what sits on one bus shares an endpoint (pnv_ioda_setup_bus_PE). */
function rewiredPartitions(partitions: Partitions, moved: readonly string[]): Partitions {
  const left = partitions.map(({ pe, functions }) => ({
    pe,
    functions: functions.filter((at) => !moved.includes(at)),
  }))
  let last = Math.max(0, ...partitions.map(({ pe }) => pe))
  for (const at of moved) {
    const shared = left.find(({ functions }) => functions.some((one) => sameBus(one, at)))
    if (shared === undefined) left.push({ pe: ++last, functions: [at] })
    else shared.functions.push(at)
  }
  return left
}

function sameBus(a: string, b: string): boolean {
  return a.slice(0, a.lastIndexOf(':')) === b.slice(0, b.lastIndexOf(':'))
}
