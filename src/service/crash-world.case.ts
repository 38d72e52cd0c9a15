/**
 * A machine that outlives the programs on it: isogroup runs on it again and again, and is killed, refused or kept
 * waiting at any place. What can be seen of the machine is compared as text.
 */
import type { ClaimRequest } from '../isolation/plan/request.ts'
import { type Fault, faulty, type FaultyKernel } from '../kernel/faulty.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import { linuxLiveHost } from '../linux/live-host.ts'
import { HandClock } from '../model/machine/vfio-user.case.ts'
import { bootModel, type Model } from '../model/model.ts'
import { type ModelKernel, modelKernel } from '../model/model-kernel.ts'
import { builtInTwin } from '../open/open-host.ts'
import { testDigest } from './digest.case.ts'
import { claimStore } from './claim-store.ts'
import { Guard } from './guard.ts'
import type { GuardEvent } from './guard-event.ts'
import { type Isolator, isolator, type IsolatorOptions } from './isolator.ts'
import {
  type Disk,
  type DiskFault,
  lossyDirectory,
  type LossyDirectory,
} from './lossy-directory.case.ts'

export interface CrashWorld {
  readonly model: Model
  readonly kernel: ModelKernel
  readonly disk: Disk
  /** Deadlines of writes that the model keeps waiting. */
  readonly timers: HandClock
  /** Milliseconds since 1970; sleeping moves it. */
  now: number
  /** Claims made so far: their ids. */
  count: number
}

export interface Program {
  readonly isolator: Isolator
  /** A guard of this process. */
  readonly guard: (say: (event: GuardEvent) => void) => Guard
  readonly kernel: FaultyKernel
  readonly directory: LossyDirectory
}

const machines = new Map<string, Awaited<ReturnType<typeof builtInTwin>>>()

/** @param name of a built-in machine */
export async function crashWorld(name = 'conventional-bridge'): Promise<CrashWorld> {
  const twin = machines.get(name) ?? (await builtInTwin(name))
  machines.set(name, twin)
  const model = bootModel(twin.machine)
  const timers = new HandClock()
  const kernel = modelKernel(model, { clock: timers })
  return { model, kernel, timers, disk: new Map(), now: 1_700_000_000_000, count: 0 }
}

/** isogroup, started on that machine. */
export function start(
  world: CrashWorld,
  faults: { readonly kernel?: readonly Fault[]; readonly disk?: readonly DiskFault[] } = {},
): Program {
  const kernel = faulty(world.kernel, faults.kernel)
  const directory = lossyDirectory(world.disk, kernel, faults.disk)
  const options: IsolatorOptions = {
    host: linuxLiveHost(impatient(kernel, world.timers), 'a machine'),
    directory,
    clock: {
      now: () => world.now,
      sleep: (milliseconds) => {
        world.now += milliseconds
        return Promise.resolve()
      },
    },
    newId: () => {
      world.count += 1
      return world.count.toString(16).padStart(8, '0')
    },
    digest: testDigest,
    uid: 0,
  }
  return {
    kernel,
    directory,
    isolator: isolator(options),
    guard: (say) => {
      const store = claimStore(directory, options.clock, testDigest)
      return new Guard({ ...options, store, deadline: DEADLINE }, say)
    },
  }
}

/** Milliseconds of a step; the model's time stands still. */
const DEADLINE = 1000

/** The model's time stands still, so a write that waits is late at once. */
function impatient(kernel: Kernel, timers: HandClock): Kernel {
  return {
    ...kernel,
    write: async (path, bytes, deadline) => {
      const writing = kernel.write(path, bytes, deadline)
      const ends: string[] = []
      const settled = writing.then(
        () => ends.push('done'),
        () => ends.push('refused'),
      )
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
      if (ends.length === 0) timers.ring()
      await settled
      return writing
    },
  }
}

const PCI_DEVICES = '/sys/bus/pci/devices'

/** Everything that can be read of all functions, groups and nodes. */
export function visibleState({ kernel }: CrashWorld): string {
  const lines: string[] = []
  for (const address of kernel.list(PCI_DEVICES).toSorted()) {
    const dir = `${PCI_DEVICES}/${address}`
    for (const name of kernel.list(dir).toSorted()) {
      // "unknown" until a driver had the device for the first time, and never again: not ours to give back.
      if (name === 'power_state') continue
      lines.push(`${dir}/${name} ${contentOf(kernel, `${dir}/${name}`)}`)
    }
  }
  for (const group of kernel.list('/sys/kernel/iommu_groups').toSorted()) {
    const dir = `/sys/kernel/iommu_groups/${group}`
    lines.push(`${dir} ${kernel.list(`${dir}/devices`).toSorted().join(' ')}`)
    lines.push(`${dir}/type ${contentOf(kernel, `${dir}/type`)}`)
  }
  for (const node of kernel.list('/dev/vfio').toSorted()) {
    lines.push(`/dev/vfio/${node} ${JSON.stringify(kernel.stat(`/dev/vfio/${node}`))}`)
  }
  return lines.join('\n')
}

/** A link, the text of a file, what is in a directory, or the errno. */
function contentOf(kernel: Kernel, path: string): string {
  for (const ask of [
    () => `-> ${kernel.link(path)}`,
    () => JSON.stringify(kernel.text(path)),
    () => kernel.list(path).toSorted().join(' '),
  ]) {
    try {
      return ask()
    } catch (cause) {
      if (!(cause instanceof KernelError)) throw cause
    }
  }
  return 'unreadable'
}

/** Lines that only one of two states has. */
export function difference(before: string, after: string): readonly string[] {
  const [had, has] = [new Set(before.split('\n')), new Set(after.split('\n'))]
  return [
    ...[...had].filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...[...has].filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ]
}

export function requestFor(
  targets: readonly string[],
  more: Partial<ClaimRequest> = {},
): ClaimRequest {
  return {
    targets: targets.map((target) => [target]),
    driver: 'vfio-pci',
    owner: { uid: 1000, gid: 1000, name: 'alice' },
    reason: null,
    allow: [],
    confirmSeconds: null,
    ...more,
  }
}
