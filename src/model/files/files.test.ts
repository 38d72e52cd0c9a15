import { describe, expect, it } from 'vitest'
import { parseInterrupts } from '../../linux/interrupts.ts'
import { deviceNames } from '../../pci/pci-ids.ts'
import type { MachineDescription } from '../machine/description.ts'
import type { Credentials } from '../process.ts'
import { type Directory, type File, type Node } from '../sysfs/node.ts'
import { firmwareDirectory } from './firmware.ts'
import { interruptDirectory, interruptTable, type InterruptLine } from './interrupts.ts'
import { pciIds } from './names.ts'
import { procSelf } from './proc-self.ts'
import { cpuinfo, meminfo } from './processors.ts'

const MACHINE: MachineDescription = {
  name: 'test',
  title: '',
  kernelRelease: '6.12.117',
  commandLine: '',
  cpu: { vendor: 'GenuineIntel', flags: ['vmx'] },
  acpiTables: ['DMAR'],
  memoryBytes: 2 ** 30,
  iommu: null,
  functions: [],
  hostedBuses: [],
  drivers: [],
  names: {},
}

const ROOT: Credentials = {
  uid: 0,
  capabilities: new Set([
    'CAP_CHOWN',
    'CAP_DAC_OVERRIDE',
    'CAP_FOWNER',
    'CAP_IPC_LOCK',
    'CAP_SYS_ADMIN',
    'CAP_SYS_RAWIO',
  ]),
}

function readText(node: Node | undefined, who: Credentials = ROOT): string {
  return (node as File).read?.(who) as string
}

describe('/proc/interrupts', () => {
  const line: InterruptLine = {
    number: 24,
    chip: 'IR-PCI-MSIX-0000:01:00.0',
    hardwareNumber: 0,
    flow: 'edge',
    actions: 'eth0',
  }

  it('has the columns of the real one', () => {
    const rows = interruptTable([line]).split('\n')
    expect(rows[0]).toBe('            CPU0       CPU1       CPU2       CPU3       ')
    expect(rows[1]).toBe(
      '  24:          0          0          0          0  IR-PCI-MSIX-0000:01:00.0    0-edge      eth0',
    )
    expect(parseInterrupts(rows.join('\n'))).toEqual(['IR-PCI-MSIX-0000:01:00.0'])
  })

  it('has the same interrupts as /sys/kernel/irq', () => {
    const directory = interruptDirectory(() => [line])
    expect(directory.list()).toEqual(['24'])
    const files = directory.find('24') as Directory
    expect(readText(files.find('chip_name'))).toBe('IR-PCI-MSIX-0000:01:00.0\n')
    expect(readText(files.find('actions'))).toBe('eth0\n')
    expect(directory.find('25')).toBeUndefined()
  })
})

describe('/proc/self', () => {
  it('tells who asks', () => {
    const user: Credentials = { uid: 1000, capabilities: new Set(['CAP_IPC_LOCK']) }
    const status = procSelf().find('status')
    expect(readText(status)).toContain('Uid:\t0\t0\t0\t0\n')
    expect(readText(status)).toContain('CapEff:\t000001ffffffffff\n')
    expect(readText(status, user)).toContain('Uid:\t1000\t1000\t1000\t1000\n')
    expect(readText(status, user)).toContain('CapEff:\t0000000000004000\n')
  })

  it('shows the limit of the process that asks', () => {
    const memory = { memlockLimit: 8388608, lockedPages: 0, physicalPage: () => undefined }
    const process = { ...ROOT, name: 'p', pid: 2, memory }
    const limits = procSelf().find('limits')
    expect(readText(limits, process)).toMatch(/^Max locked memory {9}8388608 +8388608 +bytes/m)
    expect(readText(limits)).toMatch(/^Max locked memory {9}unlimited +unlimited +bytes/m)
  })
})

describe('/proc/cpuinfo and /proc/meminfo', () => {
  it('name the processor and what it can', () => {
    expect(cpuinfo(MACHINE)).toMatch(/^vendor_id\t: GenuineIntel$/m)
    expect(cpuinfo(MACHINE)).toMatch(/^flags\t\t: .*\blm\b.*\bvmx\b/m)
    const power = { ...MACHINE, cpu: { vendor: 'POWER9', flags: [] } }
    expect(cpuinfo(power)).toMatch(/^cpu\t\t: POWER9/m)
  })

  it('tell somewhat less memory than was built in', () => {
    const kib = Number(/^MemTotal: +(\d+) kB$/m.exec(meminfo(MACHINE))?.[1])
    expect(kib).toBeLessThan(2 ** 20)
    expect(kib).toBeGreaterThan(2 ** 20 * 0.9)
  })
})

describe('/sys/firmware', () => {
  it('has tables by name that only root may read, and no ACPI where there is none', () => {
    const acpi = firmwareDirectory(['APIC', 'DMAR']).find('acpi') as Directory
    const tables = acpi.find('tables') as Directory
    expect(tables.list()).toEqual(['APIC', 'DMAR'])
    expect((tables.find('DMAR') as File).mode).toBe(0o400)
    expect(firmwareDirectory([]).list()).toEqual([])
  })
})

describe('pci.ids', () => {
  it('names devices, vendors and classes as the real file does', () => {
    const text = pciIds({ '8086:10d3': '82574L', 'abcd:0001': 'Thing' })
    const names = deviceNames(text)
    expect(names.device(0x8086, 0x10d3)).toBe('Intel Corporation 82574L')
    expect(names.device(0x8086, 0x9999)).toBe('Intel Corporation Device 9999')
    expect(names.device(0xabcd, 0x0001)).toBe('Vendor abcd Thing')
    expect(names.className(0x0604)).toBe('PCI bridge')
    expect(text.indexOf('C 00')).toBeGreaterThan(text.indexOf('8086  '))
  })
})
