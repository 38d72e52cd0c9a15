/**
 * What a claim costs, on a real kernel in a guest of the lab: against the same writes by a C program that
 * does nothing else, and per member as there are more of them.
 *
 * The peers change one device at a time and check, record and undo less; their times are printed, and are
 * no bound. Times are those of an emulated processor: only their relation means something.
 */
import { join } from 'node:path'
import { findProjectRoot } from '../lab/cache.ts'
import { settleScript } from '../lab/claim/conversation.ts'
import type { Machine } from '../lab/qemu.ts'
import { bridge, endpoint, rootPort, slotOf } from '../lab/topology.ts'
import { bootBenchGuest, type GuestPrograms, prepareLab } from './bench-guest.ts'
import type { Bench, Benchmark, Measured } from './benchmark.ts'
import type { ClaimTimes } from './claim-times.ts'
import { COMPILER, needsCompiler } from './compile-c.ts'
import { copyPeers, GUEST_PEERS } from './guest-peers.ts'
import { median } from './measure.ts'

const VIRTUAL_FUNCTIONS = 64
const nic = endpoint('e1000')
const GUEST_PROGRAM = '.build/bench-claims-guest.mjs'
const WRITER = '.build/bench-writes'
const PROGRAMS: GuestPrograms = {
  ours: { source: 'bench/claims-guest.ts', built: GUEST_PROGRAM },
  c: { source: 'bench/writes.c', built: WRITER },
}
const PEERS = '.build/bench-peers'
const DEADLINE_MS = 30 * 60_000

/** Four network cards, which the peers know, on one conventional bus; and a card with many VFs. */
const machine: Machine = {
  name: 'bench-claim',
  iommu: 'intel-iommu',
  topology: {
    slots: [
      slotOf(
        1,
        rootPort(
          bridge(
            'pcie-pci-bridge',
            [1, 2, 3, 4].map((slot) => slotOf(slot, nic)),
          ),
        ),
      ),
      slotOf(2, rootPort(endpoint('nvme', { virtualFunctions: VIRTUAL_FUNCTIONS }))),
    ],
    extraRootBuses: [],
  },
}
const four = [1, 2, 3, 4].map((slot) => `0000:02:0${String(slot)}.0`)

export const CLAIM_BENCHMARKS: readonly Benchmark[] = [
  {
    name: 'claim',
    title: 'claim of four members / the same writes from C, and Node starting',
    bound: 1.25,
    goal: null,
    unit: '',
    tools: [COMPILER, ...GUEST_PEERS],
    obstacle: needsCompiler,
    measure: async (bench) => compareFour((await timesFor(bench)).four),
  },
  {
    name: 'claim-members',
    title: `cost of a member more, up to ${VIRTUAL_FUNCTIONS} / up to ${VIRTUAL_FUNCTIONS / 2} virtual functions`,
    bound: 1.25,
    goal: null,
    unit: '',
    tools: [COMPILER, ...GUEST_PEERS],
    obstacle: needsCompiler,
    measure: async (bench) => compareMany((await timesFor(bench)).many),
  },
]

let measured: Promise<ClaimTimes> | undefined

/** Both benchmarks come out of one guest. */
function timesFor(bench: Bench): Promise<ClaimTimes> {
  measured ??= measureInGuest(bench.rounds)
  return measured
}

async function measureInGuest(rounds: number): Promise<ClaimTimes> {
  await prepareLab()
  const withPeers = copyPeers(join(findProjectRoot(), PEERS))
  const guest = await bootBenchGuest(machine, PROGRAMS, withPeers ? [PEERS] : [])
  try {
    await guest.run({ run: settleScript })
    const peers = withPeers ? `/app/${PEERS}` : '-'
    const mounts = withPeers
      ? `for name in sys proc dev lib/modules; do mount -o bind /$name ${peers}/$name; done; `
      : ''
    const words = [String(rounds), `/app/${WRITER}`, peers, ...four].join(' ')
    const run = `${mounts}node /app/${GUEST_PROGRAM} ${words}`
    const { code, stdout, stderr } = await guest.run({ run, deadlineMs: DEADLINE_MS })
    if (code !== 0) throw new Error(`in the guest: ${stderr}`)
    return JSON.parse(stdout.toString('utf8')) as ClaimTimes
  } finally {
    await guest.shutDown()
  }
}

function compareFour({ isogroup, writes, node, driverctl, devbind }: ClaimTimes['four']): Measured {
  const least = median(writes) + median(node)
  return {
    value: median(isogroup) / least,
    details: [
      line('isogroup claim', isogroup),
      line('the same writes from C', writes),
      line('node -e 0', node),
      driverctl.length === 0 ? 'driverctl: not installed' : line('driverctl, 4 times', driverctl),
      devbind.length === 0 ? 'dpdk-devbind.py: not installed' : line('dpdk-devbind.py -b', devbind),
    ],
  }
}

function compareMany(many: ClaimTimes['many']): Measured {
  const at = (members: number): number => {
    return median(many.find((one) => one.members === members)?.runs ?? [])
  }
  const half = VIRTUAL_FUNCTIONS / 2
  const upper = (at(VIRTUAL_FUNCTIONS) - at(half)) / half
  const lower = (at(half) - at(1)) / (half - 1)
  return {
    value: upper / lower,
    details: [
      ...many.map(({ members, runs }) => line(`${String(members)} members`, runs)),
      `a member more: ${lower.toFixed(1)} ms up to ${String(half)}, ${upper.toFixed(1)} ms beyond`,
    ],
  }
}

function line(name: string, runs: readonly number[]): string {
  const spread = `${Math.min(...runs).toFixed(0)} to ${Math.max(...runs).toFixed(0)}`
  return `${name}: ${median(runs).toFixed(0)} ms (${spread})`
}
