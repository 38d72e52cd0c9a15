/**
 * The programs isogroup is measured against, and isogroup itself: how each is called on a synthetic
 * host, what shows that it did its work, and what to install when it is missing.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Tool } from '../lab/packages.ts'
import type { Contender } from './measure.ts'

export interface Peer {
  readonly tool: Tool
  readonly contender: (host: string, functions: number) => Contender
}

/** The built program. */
export const PROGRAM: string = join(import.meta.dirname, '../dist/cli/main.js')

const SEARCH_PATH = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']

export const LSPCI: Peer = {
  tool: { program: 'lspci', packages: ['pciutils'] },
  contender: (host, functions) => ({
    name: 'lspci -Dvmmnnk',
    command: locate('lspci') ?? 'lspci',
    args: ['-Dvmmnnk', '-O', `sysfs.path=${host}/sys/bus/pci`],
    verify: (stdout) => expectCount('lspci', stdout.match(/^Slot:/gm)?.length ?? 0, functions),
  }),
}

export const DEVBIND: Peer = {
  tool: { program: 'dpdk-devbind.py', packages: ['dpdk'] },
  contender: (host) =>
    onSys(host, {
      name: 'dpdk-devbind.py -s',
      command: locate('dpdk-devbind.py') ?? 'dpdk-devbind.py',
      args: ['-s'],
      // It lists only classes it knows, so the count is below that of all functions.
      verify: (stdout) => {
        const listed = stdout.match(/^[0-9a-f]{4}:[0-9a-f]{2}:/gm)?.length ?? 0
        if (listed < 100) throw new Error(`dpdk-devbind.py listed only ${listed} devices`)
      },
    }),
}

export const DRIVERCTL: Peer = {
  tool: { program: 'driverctl', packages: ['driverctl'] },
  contender: (host, functions) =>
    onSys(host, {
      name: 'driverctl -v list-devices',
      // udevadm, which it runs for every device, otherwise refuses a /sys that is no sysfs.
      command: 'env',
      args: [
        'SYSTEMD_DEVICE_VERIFY_SYSFS=0',
        locate('driverctl') ?? 'driverctl',
        '-v',
        'list-devices',
      ],
      verify: (stdout) => expectCount('driverctl', stdout.split('\n').length - 1, functions),
    }),
}

/** `isogroup ls --json` on a synthetic host. */
export function isogroupLs(host: string, functions: number): Contender {
  return lsOf(`linux:${host}`, functions)
}

/** `isogroup ls --json` of any source. */
export function lsOf(source: string, functions: number): Contender {
  return {
    name: 'isogroup ls --json',
    command: process.execPath,
    args: [PROGRAM, '--host', source, 'ls', '--json'],
    verify: (stdout) => {
      const list = JSON.parse(stdout) as { groups: { devices: unknown[] }[] }
      const devices = list.groups.reduce((sum, group) => sum + group.devices.length, 0)
      expectCount('isogroup', devices, functions)
    },
  }
}

/** The same contender with the host's sys/ over /sys, for peers that know no other place. */
export function onSys(host: string, contender: Contender): Contender {
  const script = 'mount --bind "$0" /sys && exec "$@"'
  return {
    ...contender,
    command: 'unshare',
    args: ['-m', 'sh', '-c', script, `${host}/sys`, contender.command, ...contender.args],
  }
}

/** Why a peer cannot be measured here, with what to do; null when it can. */
export function whyNot(peer: Peer): string | null {
  const { program, packages } = peer.tool
  if (locate(program) === null) {
    return `${program} is not installed: apt-get install --no-install-recommends ${packages.join(' ')}`
  }
  if (peer === LSPCI) return null
  const probe = spawnSync('unshare', ['-m', 'true'])
  return probe.status === 0
    ? null
    : `${program} reads only /sys, and unshare -m is not permitted: run as root`
}

function locate(name: string): string | null {
  return SEARCH_PATH.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null
}

function expectCount(who: string, found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${who} listed ${found} functions of ${wanted}`)
}
