/** More about single functions: what `show` prints, beside what every command needs. */
import { type Fact, known, mapFact, unknown } from '../base/fact.ts'
import type { DeviceDetails, SriovState } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { encodeBytes } from '../kernel/recording.ts'
import { PCI_DEVICES } from './functions.ts'
import { baseName, readBytes, readCount, readLink, readText, required } from './reading.ts'
import type { ServicesByFunction } from './services.ts'

export function readDetails(
  kernel: KernelView,
  address: string,
  services: Fact<ServicesByFunction>,
): DeviceDetails {
  const dir = `${PCI_DEVICES}/${address}`
  const file = (name: string): Fact<string | null> => readText(kernel, `${dir}/${name}`)
  const needed = (name: string): Fact<string> => required(file(name), `${dir}/${name}`)
  return {
    address,
    services: mapFact(services, (of) => of.get(address) ?? []),
    // Unset reads back as the literal "(null)".
    driverOverride: mapFact(file('driver_override'), (text) => (text === '(null)' ? null : text)),
    numaNode: readNumaNode(kernel, `${dir}/numa_node`),
    powerState: needed('power_state'),
    runtimeStatus: needed('power/runtime_status'),
    unit: mapFact(readLink(kernel, `${dir}/iommu`), (link) =>
      link === null ? null : baseName(link),
    ),
    sriov: readSriov(kernel, dir),
    configHex: readConfigHex(kernel, `${dir}/config`),
  }
}

/** NODES_SHIFT is at most 10 (arch Kconfig files), so nodes are below 1024. */
const NUMA_NODE_MAX = 1023

function readNumaNode(kernel: KernelView, path: string): Fact<number | null> {
  const text = readText(kernel, path)
  if (!text.known) return text
  // -1 is NUMA_NO_NODE; a kernel without NUMA has no such file.
  return text.value === '-1' ? known(null) : readCount(kernel, path, NUMA_NODE_MAX)
}

/** TotalVFs and NumVFs are 16-bit registers (PCI Express Base Specification, SR-IOV capability). */
const VIRTUAL_FUNCTIONS_MAX = 0xffff

/** SR-IOV of a function; null when it has none. */
export function readSriov(kernel: KernelView, dir: string): Fact<SriovState | null> {
  if (!kernel.exists(`${dir}/sriov_totalvfs`)) return known(null)
  const count = (name: string): Fact<number> =>
    required(readCount(kernel, `${dir}/${name}`, VIRTUAL_FUNCTIONS_MAX), `${dir}/${name}`)
  const total = count('sriov_totalvfs')
  const active = count('sriov_numvfs')
  const autoprobe = readCount(kernel, `${dir}/sriov_drivers_autoprobe`, 1)
  if (!total.known) return total
  if (!active.known) return active
  if (!autoprobe.known) return autoprobe
  const virtualFunctions: string[] = []
  for (let i = 0; i < active.value; i++) {
    const link = readLink(kernel, `${dir}/virtfn${String(i)}`)
    if (link.known && link.value !== null) virtualFunctions.push(baseName(link.value))
  }
  return known({
    totalVfs: total.value,
    numVfs: active.value,
    // Before 4.12, where the file is missing, drivers were always offered new virtual functions.
    autoprobe: autoprobe.value !== 0,
    virtualFunctions,
  })
}

function readConfigHex(kernel: KernelView, path: string): Fact<string> {
  const bytes = readBytes(kernel, path)
  if (!bytes.known) return bytes
  if (bytes.value === null) return unknown(`${path} does not exist`)
  const { hex, size } = encodeBytes(bytes.value)
  return known(hex.padEnd(2 * size, '0'))
}
