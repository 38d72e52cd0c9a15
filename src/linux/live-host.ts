/** A Linux host that can be changed, over any kernel that can: the running one, or a model. */
import { IsogroupError } from '../base/errors.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import { readAccounts } from './accounts.ts'
import { perform, writesOf } from './actions.ts'
import { readContexts } from './contexts.ts'
import { deviceWatch } from './device-watch.ts'
import { readGroupsOf, readGroupState } from './group-state.ts'
import { readIdentities } from './identities.ts'
import { linuxHost } from './linux-host.ts'
import { readPrograms } from './programs.ts'
import { readText, required } from './reading.ts'
import { readStuckEvidence } from './stuck-evidence.ts'
import { readMemlockOf } from './usage/memory-limit.ts'
import { readUsage } from './usage/usage.ts'

const DRIVERS = '/sys/bus/pci/drivers'
const BOOT_ID = '/proc/sys/kernel/random/boot_id'
/** Loading a module probes devices, which takes seconds for some; milliseconds. */
const LOAD_DEADLINE = 60_000

export interface LiveHostOptions {
  /** pci.ids of the machine isogroup runs on, for hosts that bring none. */
  readonly fallbackNames?: () => string
  /** SSH_CONNECTION of the caller; null or absent = none. */
  readonly sshConnection?: string | null
}

/** @param source what a person should read about where this comes from: "this host" */
export function linuxLiveHost(
  kernel: Kernel,
  source: string,
  options: LiveHostOptions = {},
): LiveHost {
  const { fallbackNames, sshConnection = null } = options
  const hasDriver = (driver: string): boolean =>
    isFileName(driver) && kernel.exists(`${DRIVERS}/${driver}`)
  return {
    source,
    ...linuxHost(kernel, source, fallbackNames),
    state: (addresses) => readGroupState(kernel, addresses),
    groupsOf: (addresses) => readGroupsOf(kernel, addresses),
    expectActions: () => kernel.expectWrites(),
    perform: (action, deadline) => perform(kernel, action, deadline),
    writesOf,
    usage: (addresses, { holdersOf }) => readUsage(kernel, addresses, { sshConnection, holdersOf }),
    programs: () => readPrograms(kernel),
    contexts: () => readContexts(kernel),
    memlock: (uid) => readMemlockOf(kernel, uid),
    stuckEvidence: (address) => readStuckEvidence(kernel, address),
    identities: (addresses) => readIdentities(kernel, addresses),
    async loadDriver(driver) {
      if (hasDriver(driver)) return
      await load(kernel, driver)
      if (!hasDriver(driver)) throw unloadable(driver, 'its module brings no driver of that name')
    },
    hasDriver,
    accounts: () => readAccounts(kernel),
    bootId: () => readBootId(kernel),
    watch: () => deviceWatch(kernel.events()),
  }
}

function isFileName(driver: string): boolean {
  return driver !== '' && !driver.includes('/') && !/^\.\.?$/.test(driver)
}

/** VFIO drivers are called like their modules, with - where these have _. @throws IsogroupError refused */
async function load(kernel: Kernel, driver: string): Promise<void> {
  try {
    await kernel.loadModule(driver.replaceAll('-', '_'), LOAD_DEADLINE)
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause
    throw unloadable(driver, WHY[cause.code] ?? cause.code)
  }
}

const WHY: Readonly<Record<string, string>> = {
  EINVAL: 'that is no name of a module',
  ENOENT: 'this kernel has no such module',
  EPERM: 'the kernel does not allow it (not root, or modules are locked)',
  EACCES: 'the kernel does not allow it (not root)',
  EKEYREJECTED: 'the module is not signed with a key this kernel trusts',
  ENOKEY: 'the module is not signed with a key this kernel trusts',
  ETIMEDOUT: 'loading it did not end in time',
}

function unloadable(driver: string, why: string): IsogroupError {
  return new IsogroupError(
    'refused',
    `driver ${driver} cannot be loaded: ${why}`,
    `Try \`modprobe ${driver.replaceAll('-', '_')}\` and look at dmesg.`,
  )
}

function readBootId(kernel: Kernel): string {
  const id = required(readText(kernel, BOOT_ID), BOOT_ID)
  if (id.known && /^[0-9a-f-]{36}$/.test(id.value)) return id.value
  throw new IsogroupError(
    'io',
    `${BOOT_ID} does not say which boot this is: ${id.known ? `"${id.value.slice(0, 40)}"` : id.why}`,
    'Check that /proc is mounted.',
  )
}
