/**
 * /proc/cpuinfo and /proc/meminfo: what show_cpuinfo of each architecture prints (arch/x86/kernel/cpu/proc.c,
 * arch/powerpc/kernel/setup-common.c) and the first lines of fs/proc/meminfo.c.
 */
import type { MachineDescription } from '../machine/description.ts'

/** Processors of every modelled machine: their number changes nothing that the model models. */
export const PROCESSORS = 4

export function cpuinfo({ cpu }: MachineDescription): string {
  const blocks = Array.from({ length: PROCESSORS }, (_, n) =>
    cpu.vendor.startsWith('POWER') ? powerProcessor(cpu.vendor, n) : x86Processor(cpu, n),
  )
  return blocks.join('')
}

function x86Processor({ vendor, flags }: MachineDescription['cpu'], n: number): string {
  // A description lists the flags that matter; these are on every processor that runs a 64-bit kernel.
  const all = new Set(['fpu', 'tsc', 'msr', 'pae', 'cx8', 'apic', 'cmov', 'mmx', 'fxsr', 'sse'])
  for (const flag of ['sse2', 'ht', 'syscall', 'nx', 'lm', 'x2apic', ...flags]) all.add(flag)
  const lines = [
    ['processor\t', String(n)],
    ['vendor_id\t', vendor],
    ['cpu family\t', vendor === 'AuthenticAMD' ? '25' : '6'],
    ['model\t\t', vendor === 'AuthenticAMD' ? '33' : '158'],
    ['model name\t', 'Model processor'],
    ['stepping\t', '0'],
    ['physical id\t', '0'],
    ['siblings\t', String(PROCESSORS)],
    ['core id\t\t', String(n)],
    ['cpu cores\t', String(PROCESSORS)],
    ['apicid\t\t', String(n)],
    ['fpu\t\t', 'yes'],
    ['flags\t\t', [...all].join(' ')],
    ['clflush size\t', '64'],
    ['address sizes\t', '46 bits physical, 48 bits virtual'],
    ['power management', ''],
  ]
  return `${lines.map(([name = '', value = '']) => `${name}: ${value}`).join('\n')}\n\n`
}

function powerProcessor(name: string, n: number): string {
  return `processor\t: ${String(n)}\ncpu\t\t: ${name}, altivec supported\nclock\t\t: 3800.000000MHz\nrevision\t: 2.3 (pvr 004e 1203)\n\n`
}

/** Kernels keep a little for themselves, so that total is less than what was built in. */
const KERNEL_SHARE = 1 / 64

export function meminfo({ memoryBytes }: MachineDescription): string {
  const total = Math.floor((memoryBytes * (1 - KERNEL_SHARE)) / 1024)
  const line = (name: string, kib: number): string =>
    `${`${name}:`.padEnd(15)} ${String(kib).padStart(8)} kB\n`
  const free = Math.floor(total * 0.75)
  return line('MemTotal', total) + line('MemFree', free) + line('MemAvailable', free)
}
