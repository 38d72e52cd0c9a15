/**
 * "What if": boots the twin of a host twice, as it is and as it would be, and gives both as hosts to look
 * at. Nothing happens to the host itself.
 */
import { IsogroupError } from '../base/errors.ts'
import { formatKernelVersion, type KernelVersion } from '../base/kernel-version.ts'
import type { Host } from '../isolation/host.ts'
import { Errno } from '../model/errno.ts'
import { deviceKinds, deviceTemplate } from '../model/hardware/devices/catalogue.ts'
import { applyChanges, type ChangedMachine } from '../model/machine/change/apply-changes.ts'
import type { Change } from '../model/machine/change/change.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import { modelHost } from './model-host.ts'
import { builtInMachine } from './open-host.ts'
import { type Twin, twinOf } from './twin.ts'

export type { Change } from '../model/machine/change/change.ts'

export interface WhatIf {
  /** The machine as it is, booted on the model. */
  readonly before: Host
  readonly after: Host
  /** Name after the change by name before it. */
  readonly addresses: ReadonlyMap<string, string>
  /** How the changes were understood. */
  readonly notes: readonly string[]
  /** What was not known of the host, and how the twin has it. */
  readonly assumed: readonly string[]
}

/** @throws IsogroupError `bad-change` when a change cannot be made, naming it and what could be */
export async function whatIf(
  source: string,
  host: Host,
  changes: readonly Change[],
  kernel: KernelVersion | null,
): Promise<WhatIf> {
  const { machine, assumed } = await machineOf(source, host, kernel)
  const changed = change(machine, changes)
  return {
    before: modelHost(machine),
    after: modelHost(changed.machine),
    addresses: changed.addresses,
    notes: changed.notes,
    assumed,
  }
}

/** A built-in machine is known wholly; everything else has a twin. */
async function machineOf(source: string, host: Host, kernel: KernelVersion | null): Promise<Twin> {
  const builtIn = source.startsWith('model:')
    ? await builtInMachine(source.slice('model:'.length))
    : null
  const twin = builtIn === null ? twinOf(host) : { machine: builtIn, assumed: [] }
  if (kernel === null) return twin
  return { ...twin, machine: { ...twin.machine, kernelRelease: formatKernelVersion(kernel) } }
}

function change(machine: MachineDescription, changes: readonly Change[]): ChangedMachine {
  try {
    return applyChanges(machine, changes, deviceTemplate)
  } catch (cause) {
    if (!(cause instanceof Errno)) throw cause
    throw new IsogroupError('bad-change', cause.message, HINT, { cause })
  }
}

const HINT = `\`isogroup ls\` and \`isogroup tree\` name devices and ports; kinds to add are ${deviceKinds().join(', ')}.`
