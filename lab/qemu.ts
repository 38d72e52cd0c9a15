/**
 * One QEMU process: a machine description becomes an argument list, the process is started, watched
 * and, whatever happens, ended.
 *
 * Always TCG, QEMU's own CPU emulation: /dev/kvm may exist on a build machine and still be unusable,
 * and a lab that behaves differently from host to host proves little.
 *
 * A guest has a serial console, written to a file, and a virtio serial port on a unix socket, over
 * which guest.ts speaks with the init script (see guest-init.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { portName } from './guest-init.ts'
import type { Kernel } from './kernels.ts'
import { requireProgram } from './packages.ts'
import { type Topology, topologyArguments } from './topology.ts'

export type Iommu = 'intel-iommu' | 'amd-iommu' | 'virtio-iommu' | 'none'

export type Machine = {
  readonly name: string
  readonly iommu: Iommu
  /** Whether the IOMMU also remaps interrupts: on unless said otherwise. */
  readonly interruptRemapping?: boolean
  readonly topology: Topology
  /** Further kernel arguments. */
  readonly kernelArguments?: readonly string[]
  readonly memoryMiB?: number
  /** Empty disks, to be named by `drive=` properties of devices. */
  readonly disks?: readonly string[]
}

/** Enough for a small file system or some swap. */
export const diskBytes: number = 32 * 2 ** 20

/** Root-bus slots that belong to the lab itself; topologies must leave them free. */
export const reservedSlots = { amdIommu: 0x1c, virtioIommu: 0x1d, port: 0x1e } as const

export type QemuFiles = {
  readonly console: string
  readonly port: string
  readonly control: string
  readonly disk: (name: string) => string
}

/** Where one run keeps its console log and sockets. */
export function qemuFiles(directory: string): QemuFiles {
  return {
    console: join(directory, 'console.log'),
    port: join(directory, 'port.sock'),
    control: join(directory, 'qmp.sock'),
    disk: (name) => join(directory, `${name}.disk`),
  }
}

/** The complete argument list for a machine. */
export function qemuArguments(
  machine: Machine,
  kernel: Kernel,
  initrd: string,
  files: QemuFiles,
): readonly string[] {
  return [
    ...['-M', 'q35,kernel-irqchip=split', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...['-smp', '1', '-m', String(machine.memoryMiB ?? 1024)],
    ...['-nodefaults', '-nographic', '-no-reboot', '-nic', 'none'],
    ...['-chardev', `file,id=console,path=${files.console}`, '-serial', 'chardev:console'],
    ...['-qmp', `unix:${files.control},server=on,wait=off`],
    // Legacy interrupts and I/O registers off: the lab's own device should leave few traces.
    ...['-device', `virtio-serial-pci,addr=0x${reservedSlots.port.toString(16)},disable-legacy=on`],
    ...['-chardev', `socket,id=port,path=${files.port}`],
    ...['-device', `virtserialport,chardev=port,name=${portName}`],
    ...(machine.disks ?? []).flatMap((name) => {
      return ['-drive', `if=none,id=${name},format=raw,file=${files.disk(name)}`]
    }),
    ...topologyArguments(machine.topology),
    // Last, because the PCI function of amd-iommu cannot be placed: it takes the first free slot.
    ...iommuArguments(machine),
    ...['-kernel', kernel.image, '-initrd', initrd],
    ...['-append', kernelCommandLine(machine)],
  ]
}

function iommuArguments(machine: Machine): readonly string[] {
  const remapping = (machine.interruptRemapping ?? true) ? 'on' : 'off'
  switch (machine.iommu) {
    case 'intel-iommu':
      return ['-device', `intel-iommu,intremap=${remapping},caching-mode=on`]
    case 'amd-iommu':
      return ['-device', `amd-iommu,intremap=${remapping}`]
    case 'virtio-iommu':
      return ['-device', `virtio-iommu-pci,addr=0x${reservedSlots.virtioIommu.toString(16)}`]
    case 'none':
      return []
  }
}

function kernelCommandLine(machine: Machine): string {
  // No I/O space for hot-plug: there are sixteen windows in all, and a kernel that runs out of them
  // assigns everything again and again (6 s on the fixed machine).
  const words = ['console=ttyS0', 'loglevel=4', 'log_buf_len=4M', 'panic=-1', 'nokaslr']
  words.push('pci=hpiosize=0')
  // The boot-time test of the timer interrupt counts ticks; on a busy host an emulated processor
  // misses some, and with interrupt remapping the kernel then panics.
  words.push('no_timer_check')
  if (machine.iommu === 'intel-iommu') words.push('intel_iommu=on')
  return [...words, ...(machine.kernelArguments ?? [])].join(' ')
}

const escape = '\u001b'

export type QemuProcess = {
  readonly pid: number
  /** Resolves when the process has ended, with what it wrote on stderr. */
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>
  /** Ends it at once. */
  readonly kill: () => void
}

/** Starts QEMU. Its life is bound to ours: leaving the lab by any way kills it. */
export function startQemu(args: readonly string[]): QemuProcess {
  const child = spawn(requireProgram('qemu-system-x86_64'), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const kill = (): void => {
    child.kill('SIGKILL')
  }
  process.once('exit', kill)
  const ended = waitForEnd(child).finally(() => process.off('exit', kill))
  ended.catch(() => undefined)
  return { pid: child.pid ?? 0, ended, kill }
}

function waitForEnd(
  child: ChildProcess,
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const stderr: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      // Every network card complains that it is connected to nothing.
      const said = Buffer.concat(stderr).toString('utf8')
      resolve({ code, stderr: said.replaceAll(/^.* has no peer\n/gm, '') })
    })
  })
}

/** The last lines of a console log, for an error message. */
export function consoleTail(path: string, lineCount = 25): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return '(no console output)'
  }
  return plainText(text).trimEnd().split('\n').slice(-lineCount).join('\n')
}

/** Without carriage returns and the firmware's screen control. */
function plainText(text: string): string {
  return text.replaceAll(new RegExp(`\\r|${escape}c|${escape}\\[[?\\d;]*[A-Za-z]`, 'g'), '')
}
