/**
 * From the name of a source to a host on which programs can use devices: this one through VFIO, or a model.
 * On a model nobody has claimed anything for the program, so it can ask for that here.
 */
import { IsogroupError } from '../base/errors.ts'
import { fullAddress, groupOf } from '../access/group-of.ts'
import { findingsOf } from '../isolation/plan/plan.ts'
import { refuses } from '../isolation/plan/safety-finding.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { linuxLiveHost } from '../linux/live-host.ts'
import { bootKernel, modelLabel } from './model-host.ts'
import { bootableTwin } from './open-host.ts'
import { openIsolator } from './open-isolator.ts'
import { SYSTEM_CLOCK } from './system-clock.ts'

/** Where a program uses devices. */
export interface UserHost {
  /** For people: "this host". */
  readonly source: string
  readonly kernel: Kernel
}

export interface UserHostOptions {
  /**
   * Addresses of devices whose groups are claimed for the program if the source is a model. On "linux" an administrator
   * does it before: isogroup claim ADDRESS --owner USER.
   */
  readonly claimed?: readonly string[]
}

/**
 * @param source "linux", "model:NAME" (isogroup --host model:? lists them) or "file:MACHINE.json"
 * @throws IsogroupError usage, no-source, bad-machine, io; refused: what stands in the way of claiming
 */
export async function openUserHost(
  source = 'linux',
  { claimed = [] }: UserHostOptions = {},
): Promise<UserHost> {
  if (source === 'linux') {
    const { liveKernel } = await import('../kernel/native/live-kernel.ts')
    return { source: 'this host', kernel: liveKernel() }
  }
  const twin = await bootableTwin(source)
  const host: UserHost = { source: modelLabel(twin), kernel: bootKernel(twin.machine) }
  await claimOnModel(host, claimed)
  return host
}

async function claimOnModel(
  { kernel, source }: UserHost,
  addresses: readonly string[],
): Promise<void> {
  const byGroup = new Map(
    addresses.map((address) => [groupOf(kernel, address), [fullAddress(address)]]),
  )
  if (byGroup.size === 0) return
  const isolator = openIsolator({
    ...{ host: linuxLiveHost(kernel, source), state: null, uid: 0 },
    clock: SYSTEM_CLOCK,
  })
  const { kind, plan } = await isolator.claim({
    ...{ targets: [...byGroup.values()], driver: 'vfio-pci', owner: null },
    ...{ reason: 'a program', allow: [], confirmSeconds: null },
  })
  if (kind === 'done' || kind === 'nothing-to-do') return
  const refusals = findingsOf(plan).filter(refuses)
  throw new IsogroupError(
    'refused',
    `${addresses.join(', ')} cannot be claimed: ${refusals.map(({ code }) => code).join(', ') || kind}`,
    `isogroup --host ${source} plan ${addresses.join(' ')}`,
  )
}
