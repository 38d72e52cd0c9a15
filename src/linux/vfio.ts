/** What of VFIO is loaded, how it is set, and which nodes it offers. */
import { type Fact, known, mapFact } from '../base/fact.ts'
import type { VfioFacts } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { orElse, readList, readText } from './reading.ts'

const MODULES = '/sys/module'
const NODES = '/dev/vfio'

/** vfio, vfio_pci, vfio_pci_core, vfio_iommu_type1, mlx5_vfio_pci, iommufd, pci_stub, irqbypass ... */
function isOfVfio(module: string): boolean {
  return /(?:^|_)vfio(?:_|$)/.test(module) || ['iommufd', 'pci_stub', 'irqbypass'].includes(module)
}

export function readVfio(kernel: KernelView): VfioFacts {
  const modules = mapFact(orElse(readList(kernel, MODULES), []), (names) =>
    names.filter(isOfVfio).sort(),
  )
  const parameters: Record<string, string> = {}
  for (const module of modules.known ? modules.value : []) {
    readParameters(kernel, module, parameters)
  }
  return { modules, parameters, nodes: readNodes(kernel) }
}

function readParameters(
  kernel: KernelView,
  module: string,
  parameters: Record<string, string>,
): void {
  const dir = `${MODULES}/${module}/parameters`
  const names = readList(kernel, dir)
  for (const name of names.known ? [...(names.value ?? [])].sort() : []) {
    const value = readText(kernel, `${dir}/${name}`)
    if (value.known && value.value !== null) parameters[`${module}.${name}`] = value.value
  }
}

function readNodes(kernel: KernelView): Fact<readonly string[]> {
  const nodes = readList(kernel, NODES)
  if (!nodes.known) return nodes
  return known([...(nodes.value ?? [])].sort())
}
