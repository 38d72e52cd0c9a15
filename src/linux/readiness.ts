/** What decides whether this host can hand out devices at all: firmware, processor, limits, modules. */
import { type Fact, known, mapFact, unknown } from '../base/fact.ts'
import type { HostReadiness } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { orElse, readList, readText, required } from './reading.ts'

const CPUINFO = '/proc/cpuinfo'
const STATUS = '/proc/self/status'
const LIMITS = '/proc/self/limits'
const MEMINFO = '/proc/meminfo'
/** CAP_IPC_LOCK, include/uapi/linux/capability.h. */
const CAP_IPC_LOCK = 14n
const FLAGS = ['vmx', 'svm', 'hypervisor', 'lm']
/** Enough for the first processor of any machine. */
const CPUINFO_BYTES = 64 * 1024

export function readReadiness(kernel: KernelView, release: Fact<string>): HostReadiness {
  const cpuinfo = required(readText(kernel, CPUINFO, CPUINFO_BYTES), CPUINFO)
  const status = required(readText(kernel, STATUS), STATUS)
  const flags = mapFact(cpuinfo, cpuFlags)
  return {
    acpiTables: mapFact(orElse(readList(kernel, '/sys/firmware/acpi/tables'), []), (names) =>
      names.filter((name) => /^[A-Z0-9_]{3,4}\d*$/.test(name)).sort(),
    ),
    cpuVendor: field(cpuinfo, /^(?:vendor_id|CPU implementer)\s*: (.+)$/m, CPUINFO),
    cpuFlags: mapFact(flags, (all) => all.filter((flag) => flag !== 'lm')),
    machine: machineOf(cpuinfo, flags),
    uid: mapFact(field(status, /^Uid:\s+\d+\s+(\d+)/m, STATUS), Number),
    memlock: memlockOf(required(readText(kernel, LIMITS), LIMITS)),
    memory: mapFact(
      field(required(readText(kernel, MEMINFO), MEMINFO), /^MemTotal:\s+(\d+) kB/m, MEMINFO),
      (kib) => Number(kib) * 1024,
    ),
    mayLockMemory: mapFact(
      field(status, /^CapEff:\s+([0-9a-f]+)/m, STATUS),
      (caps) => ((BigInt(`0x${caps}`) >> CAP_IPC_LOCK) & 1n) === 1n,
    ),
    vfioPciAvailable: vfioPciAvailable(kernel, release),
  }
}

function field(text: Fact<string>, pattern: RegExp, path: string): Fact<string> {
  if (!text.known) return text
  const found = pattern.exec(text.value)?.[1]
  return found === undefined ? unknown(`${path} has no such line`) : known(found.trim())
}

function cpuFlags(cpuinfo: string): string[] {
  const line = /^(?:flags|Features)\s*: (.*)$/m.exec(cpuinfo)?.[1] ?? ''
  const words = new Set(line.split(' '))
  return FLAGS.filter((flag) => words.has(flag))
}

function machineOf(cpuinfo: Fact<string>, flags: Fact<readonly string[]>): Fact<string> {
  if (!cpuinfo.known) return cpuinfo
  if (flags.known && flags.value.includes('lm')) return known('x86_64')
  if (/^CPU architecture\s*: 8/m.test(cpuinfo.value)) return known('aarch64')
  if (/^cpu\s*: POWER/m.test(cpuinfo.value)) return known('ppc64')
  return unknown(`${CPUINFO} does not tell the kind of machine`)
}

function memlockOf(limits: Fact<string>): Fact<number | null> {
  const soft = field(limits, /^Max locked memory\s+(\S+)/m, LIMITS)
  if (!soft.known) return soft
  if (soft.value === 'unlimited') return known(null)
  return /^\d+$/.test(soft.value)
    ? known(Number(soft.value))
    : unknown(`${LIMITS}: "${soft.value}"`)
}

/** Loaded, built in, or among the modules that depmod found. */
function vfioPciAvailable(kernel: KernelView, release: Fact<string>): Fact<boolean> {
  if (kernel.exists('/sys/bus/pci/drivers/vfio-pci')) return known(true)
  if (!release.known) return release
  const dir = `/lib/modules/${release.value}`
  const texts = ['modules.dep', 'modules.builtin'].map((name) =>
    readText(kernel, `${dir}/${name}`, 16 * 1024 * 1024),
  )
  if (texts.some((text) => text.known && /\/vfio-pci\.ko/.test(text.value ?? '')))
    return known(true)
  const [dep] = texts
  if (dep === undefined || !dep.known) return dep ?? unknown(`${dir} was not read`)
  if (dep.value === null) return unknown(`${dir}/modules.dep does not exist`)
  return known(false)
}
