/** More about single functions: what `show` prints, beside what every command needs. */
import { type Fact, known, mapFact, unknown } from '../base/fact.ts'
import type { DeviceDetails, SriovState } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { encodeBytes } from '../kernel/recording.ts'
import { PCI_DEVICES } from './functions.ts'
import { baseName, readBytes, readLink, readText, required } from './reading.ts'
import type { ServicesByFunction } from './services.ts'

export function readDetails(
  kernel: KernelView,
  address: string,
  services: ServicesByFunction,
): DeviceDetails {
  const dir = `${PCI_DEVICES}/${address}`
  const file = (name: string): Fact<string | null> => readText(kernel, `${dir}/${name}`)
  const needed = (name: string): Fact<string> => required(file(name), `${dir}/${name}`)
  return {
    address,
    services: known(services.get(address) ?? []),
    // Unset reads back as the literal "(null)".
    driverOverride: mapFact(file('driver_override'), (text) => (text === '(null)' ? null : text)),
    numaNode: mapFact(file('numa_node'), (text) =>
      text === null || text === '-1' ? null : Number(text),
    ),
    powerState: needed('power_state'),
    runtimeStatus: needed('power/runtime_status'),
    unit: mapFact(readLink(kernel, `${dir}/iommu`), (link) =>
      link === null ? null : baseName(link),
    ),
    sriov: readSriov(kernel, dir, file),
    configHex: readConfigHex(kernel, `${dir}/config`),
  }
}

function readSriov(
  kernel: KernelView,
  dir: string,
  file: (name: string) => Fact<string | null>,
): Fact<SriovState | null> {
  if (!kernel.exists(`${dir}/sriov_totalvfs`)) return known(null)
  const total = file('sriov_totalvfs')
  const active = file('sriov_numvfs')
  if (!total.known) return total
  if (!active.known) return active
  const autoprobe = file('sriov_drivers_autoprobe')
  const virtualFunctions: string[] = []
  for (let i = 0; i < Number(active.value); i++) {
    const link = readLink(kernel, `${dir}/virtfn${String(i)}`)
    if (link.known && link.value !== null) virtualFunctions.push(baseName(link.value))
  }
  return known({
    totalVfs: Number(total.value),
    numVfs: Number(active.value),
    autoprobe: !autoprobe.known || autoprobe.value !== '0',
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
