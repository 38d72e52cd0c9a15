/**
 * Would data be lost? A disk that is taken away under a file system takes with it all that was not written
 * yet, and the host when it is the disk the host runs from. Nothing here can be allowed away.
 */
import type { DeviceUsage, DiskUse } from '../live-host.ts'
import type { SafetyCode } from './safety-codes.ts'
import { notKnown, type SafetyFinding, safetyFinding } from './safety-finding.ts'

interface Kind {
  readonly code: SafetyCode
  readonly uses: readonly DiskUse['use'][]
  readonly fact: (uses: readonly DiskUse[]) => string
  readonly remedy: (use: DiskUse) => string
}

const KINDS: readonly Kind[] = [
  {
    code: 'CLAIM-ROOT-DISK',
    uses: ['root', 'boot'],
    fact: (uses) => `the host runs from it: it holds ${listed(uses, ({ detail }) => detail)}`,
    remedy: () => 'claim another device; the host cannot do without this one',
  },
  {
    code: 'CLAIM-MOUNTED',
    uses: ['mount', 'open'],
    fact: (uses) =>
      `file systems on its disks are mounted: ${listed(uses, ({ detail }) => detail)}`,
    remedy: ({ use, name, detail }) =>
      use === 'mount' ? `umount ${pathOf(detail)}` : `lsblk /dev/${name} and findmnt --task PID`,
  },
  {
    code: 'CLAIM-SWAP',
    uses: ['swap'],
    fact: (uses) => `the host swaps to it: ${listed(uses, ({ detail }) => detail)}`,
    remedy: ({ detail }) => `swapoff ${pathOf(detail)}`,
  },
  {
    code: 'CLAIM-HOLDER',
    uses: ['holder', 'zfs'],
    fact: (uses) =>
      `other storage is built on its disks: ${listed(uses, ({ name, detail, use }) => `${use === 'zfs' ? 'ZFS pool ' : ''}${detail} on ${name}`)}`,
    remedy: ({ use, detail }) =>
      use === 'zfs' ? `zpool export ${pathOf(detail)}` : closing(pathOf(detail)),
  },
]

const SOURCE: Readonly<Record<DiskUse['use'], string>> = {
  root: '/proc/self/mountinfo',
  boot: '/proc/self/mountinfo',
  mount: '/proc/self/mountinfo',
  open: '/sys/fs',
  swap: '/proc/swaps',
  holder: '/sys/class/block/*/holders',
  zfs: '/proc/spl/kstat/zfs',
}

export function diskFindings({ address, disks }: DeviceUsage): readonly SafetyFinding[] {
  if (!disks.known) {
    const what = `whether the host uses disks behind ${address} is unknown`
    return [notKnown('CLAIM-UNKNOWN-DISKS', what, disks.why, [address])]
  }
  return KINDS.flatMap(({ code, uses, fact, remedy }) => {
    const met = disks.value.filter(({ use }) => uses.includes(use))
    const [first] = met
    if (first === undefined) return []
    return [
      safetyFinding(code, 'refuse', {
        fact: `${address}: ${fact(met)}`,
        evidence: met.map(({ use, name, detail }) => `${SOURCE[use]}: ${name}, ${detail}`),
        remedy: remedy(first),
        about: [address],
      }),
    ]
  })
}

const LISTED_MAX = 6

function listed(uses: readonly DiskUse[], name: (use: DiskUse) => string): string {
  const names = [...new Set(uses.map(name))]
  const more = names.length - LISTED_MAX
  const shown = names.slice(0, LISTED_MAX).join(', ')
  return more > 0 ? `${shown} and ${String(more)} more` : shown
}

/** Details begin with the path or name, and may go on: "/srv (through dm-1 vg-data)". */
function pathOf(detail: string): string {
  return detail.split(' (', 1)[0] ?? detail
}

/** What takes a layer apart, by its kernel name. */
function closing(holder: string): string {
  if (holder.startsWith('md')) return `mdadm --stop /dev/${holder}`
  if (holder.startsWith('bcache')) return `echo 1 > /sys/block/${holder}/bcache/stop`
  return `see lsblk /dev/${holder}; then vgchange -an, cryptsetup close or dmsetup remove`
}
