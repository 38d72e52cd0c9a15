/**
 * driverctl and dpdk-devbind.py with all they need, as a root directory for a guest that has neither bash
 * nor Python: programs, the libraries ldd names, and the Python modules the script loads.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Tool } from '../lab/packages.ts'

/** The two, and what they call that the packages do not depend on. */
export const GUEST_PEERS: readonly Tool[] = [
  { program: 'driverctl', packages: ['driverctl'] },
  { program: 'dpdk-devbind.py', packages: ['dpdk'] },
  { program: 'lspci', packages: ['pciutils'] },
  { program: 'udevadm', packages: ['udev'] },
  { program: 'ip', packages: ['iproute2'] },
]

/** Interpreters, and what the two scripts call. */
const PROGRAMS = [
  ...['/bin/bash', '/bin/udevadm', '/usr/bin/python3', '/usr/bin/lspci', '/sbin/ip'],
  ...['/usr/bin/basename', '/usr/bin/readlink', '/usr/bin/which', '/bin/sh', '/usr/bin/env'],
  ...[
    '/usr/bin/dirname',
    '/bin/mkdir',
    '/bin/rm',
    '/usr/bin/realpath',
    '/usr/bin/cut',
    '/sbin/modprobe',
  ],
]
const SCRIPTS = ['/usr/sbin/driverctl', '/usr/bin/dpdk-devbind.py']
/** What dpdk-devbind.py imports, and what Python itself loads at its start. */
const LOADED = `
import sys, os, subprocess, argparse, platform, glob, encodings.utf_8, encodings.latin_1
for module in list(sys.modules.values()):
  file = getattr(module, '__file__', None)
  if file and file.startswith('/'): print(file)
`

/** @returns false when one of the two is not installed here */
export function copyPeers(root: string): boolean {
  if (![...SCRIPTS, ...PROGRAMS].every((path) => existsSync(path))) return false
  rmSync(root, { recursive: true, force: true })
  for (const name of ['sys', 'proc', 'dev', 'tmp', 'etc', 'lib/modules']) {
    mkdirSync(join(root, name), { recursive: true })
  }
  const modules = printed('/usr/bin/python3', ['-c', LOADED]).split('\n')
  const files = new Set([...SCRIPTS, ...PROGRAMS, ...modules, '/usr/share/misc/pci.ids'])
  for (const file of [...PROGRAMS, ...modules.filter((name) => name.endsWith('.so'))]) {
    const libraries = printed('ldd', [file]).matchAll(/(?:=>\s*|^\s*)(\/\S+)\s+\(0x/gm)
    for (const [, library = ''] of libraries) files.add(library)
  }
  for (const file of files) {
    if (file === '' || !existsSync(file)) continue
    mkdirSync(join(root, dirname(file)), { recursive: true })
    copyFileSync(realpathSync(file), join(root, file))
  }
  return true
}

/** Empty for what is no dynamic program. */
function printed(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout
}
