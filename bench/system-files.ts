/**
 * The files of a synthetic host that are about the machine as a whole: translation units, modules,
 * interrupts, the kernel's version and command line.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { SyntheticFunction } from './synthetic-host.ts'

const RELEASE = '6.12.0-bench'

const MODULES = ['vfio', 'vfio_iommu_type1', 'vfio_pci_core', 'vfio_pci', 'irqbypass']

/** Where distributions keep the names of PCI devices; the first one found is copied. */
const NAME_FILES = ['/usr/share/misc/pci.ids', '/usr/share/hwdata/pci.ids']

export function writeSystemFiles(folder: string, functions: readonly SyntheticFunction[]): void {
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  writeUnits(folder, put)
  for (const module of MODULES) put(`sys/module/${module}/initstate`, 'live\n')
  put('sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts', 'N\n')
  put('sys/module/vfio_iommu_type1/parameters/dma_entry_limit', '65535\n')
  put('sys/firmware/acpi/tables/DMAR', '')
  put('sys/firmware/acpi/tables/APIC', '')

  put('proc/sys/kernel/osrelease', `${RELEASE}\n`)
  put('proc/version', `Linux version ${RELEASE} (bench) #1 SMP PREEMPT_DYNAMIC\n`)
  put('proc/cmdline', 'root=/dev/sda1 ro intel_iommu=on\n')
  put('proc/modules', MODULES.map((name) => `${name} 65536 0 - Live 0x0\n`).join(''))
  put('proc/interrupts', interrupts(functions))
  put('proc/cpuinfo', 'processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\n\n')
  put('proc/meminfo', 'MemTotal:       536870912 kB\n')
  put('proc/self/status', 'Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n')
  put(
    'proc/self/limits',
    'Max locked memory         8388608              8388608              bytes\n',
  )
  put('dev/vfio/vfio', '')

  const names = NAME_FILES.find((path) => existsSync(path))
  if (names === undefined) return
  mkdirSync(join(folder, 'usr/share/misc'), { recursive: true })
  copyFileSync(names, join(folder, 'usr/share/misc/pci.ids'))
}

function writeUnits(folder: string, put: (path: string, text: string) => void): void {
  const units = join(folder, 'sys/devices/virtual/iommu')
  mkdirSync(join(folder, 'sys/class/iommu'), { recursive: true })
  for (const name of readdirSync(units)) {
    const at = `sys/devices/virtual/iommu/${name}/intel-iommu`
    put(`${at}/address`, 'd37fc000\n')
    put(`${at}/cap`, '8d2078c106f0466\n')
    put(`${at}/ecap`, '3ee9e86f050df\n')
    put(`${at}/version`, '4:0\n')
    put(`${at}/domains_supported`, '65536\n')
    put(`${at}/domains_used`, '100\n')
    symlinkSync(`../../devices/virtual/iommu/${name}`, join(folder, 'sys/class/iommu', name))
  }
}

/** One line per bound function, as an interrupt-remapping host shows them. */
function interrupts(functions: readonly SyntheticFunction[]): string {
  const lines = functions
    .filter((fn) => fn.driver !== null)
    .map((fn, n) => `${n + 24}:  0  17  IR-PCI-MSIX-${fn.address}  0-edge  ${fn.driver ?? ''}\n`)
  return `            CPU0       CPU1\n${lines.join('')} NMI:  0  0  Non-maskable interrupts\n`
}
