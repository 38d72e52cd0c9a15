/**
 * A machine with the kernel that runs on it, in memory: hardware in its slots, the parts of the kernel
 * over it, and the file tree through which programs see both.
 *
 *     hardware/                                    functions in slots, fabric       people plug and unplug
 *     driver-core/ pci/ iommu/ drivers/ vfio/      the kernel
 *     sysfs/ files/                                what processes see of it
 *
 * A model stands still until somebody calls it: it has no clock and no threads of its own. Calls that may
 * sleep are tasks (task.ts); `run` is for those that do not, the scheduler for all others.
 */
import { Errno } from './errno.ts'
import { boot } from './machine/boot.ts'
import { loadModule } from './machine/load-module.ts'
import type { MachineDescription } from './machine/description.ts'
import { type Added, hotAdd, hotRemove } from './machine/hot-plug.ts'
import { type KernelParts, kernelParts } from './machine/kernel-parts.ts'
import type { Task } from './task.ts'
import type { Credentials } from './process.ts'
import { type ProcessInit, UserProcess } from './user-process.ts'

export interface Model extends KernelParts {
  /** A new process; root unless said otherwise. */
  createProcess(init?: Partial<ProcessInit>): UserProcess
  /**
   * Runs a task, and all that wait for what it does, until it ends.
   * @throws Errno what the task threw; EDEADLK when it sleeps: it stays in the scheduler then
   */
  run<T>(name: string, task: Task<T>): T
  /**
   * init_module(2), with the name that modprobe takes: "vfio_pci" or "vfio-pci".
   * @throws Errno EPERM (not root), EINVAL (no name), ENOENT (no such module)
   */
  loadModule(name: string, who: Credentials): Task<void>
  /**
   * Somebody plugs a device in, or a card of several functions, and the kernel notices.
   * @param above address of a bridge, or name of a root bus ("0000:00")
   */
  hotAdd(added: Added | readonly Added[], above: string, devfn: number): Task<void>
  /** Somebody pulls the device out, ready or not. @throws Errno ENODEV nothing is there */
  hotRemove(address: string): Task<void>
}

export interface BootOptions {
  /** /proc/sys/kernel/random/boot_id, a UUID; absent: always the same. */
  readonly bootId?: string
}

export function bootModel(machine: MachineDescription, options: BootOptions = {}): Model {
  const parts = kernelParts(machine, options.bootId)
  const { context, processes } = parts
  new UserProcess(context, { name: 'init', pid: 1 }, processes)
  let lastPid = 1
  const run = <T>(name: string, task: Task<T>): T => runTask(parts, name, task)
  run('boot', boot(parts))
  return {
    ...parts,
    run,
    createProcess: (init = {}) => {
      lastPid += 1
      return new UserProcess(context, { name: 'program', pid: lastPid, ...init }, processes)
    },
    loadModule: (name, who) => loadModule(parts, name, who),
    hotAdd: (added, above, devfn) => hotAdd(parts, added, above, devfn),
    hotRemove: (address) => hotRemove(parts, address),
  }
}

function runTask<T>({ context: { scheduler } }: KernelParts, name: string, task: Task<T>): T {
  let outcome: { readonly value: T } | { readonly error: unknown } | null = null
  const finish = (ended: { readonly value: T } | { readonly error: unknown }): void => {
    outcome = ended
  }
  scheduler.start(name, task, finish)
  scheduler.settle()
  const ended = outcome as { readonly value: T } | { readonly error: unknown } | null
  if (ended === null) throw new Errno('EDEADLK', `${name} sleeps`)
  if ('error' in ended) throw ended.error
  return ended.value
}
