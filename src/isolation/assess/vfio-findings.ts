/** VFIO: modules, device nodes, and the mode that does without an IOMMU. */
import type { Fact } from '../../base/fact.ts'
import type { HostReadiness, HostSnapshot, VfioFacts } from '../host.ts'
import { parameterPath } from './interrupt-findings.ts'
import { finding, type HostFinding, listed } from './readiness.ts'

export function vfioFindings(
  snapshot: HostSnapshot,
  readiness: HostReadiness,
): readonly HostFinding[] {
  const { vfio } = snapshot
  const pretended = noIommuFinding(snapshot)
  return [
    driverFinding(vfio, readiness.vfioPciAvailable),
    ...backEndFinding(vfio),
    nodeFinding(vfio),
    ...(pretended === null ? [] : [pretended]),
  ]
}

function driverFinding({ modules }: VfioFacts, available: Fact<boolean>): HostFinding {
  if (modules.known && modules.value.includes('vfio_pci')) {
    const fact = 'the driver vfio-pci is loaded'
    return finding('HOST-VFIO-PCI', 'ok', { fact, evidence: ['/sys/module/vfio_pci'] })
  }
  if (available.known && available.value) {
    return finding('HOST-VFIO-PCI', 'info', {
      fact: modules.known
        ? 'the driver vfio-pci is available, but not loaded'
        : 'the driver vfio-pci is available; whether it is loaded is unknown',
      evidence: [modules.known ? '/sys/module/vfio_pci: not there' : `/sys/module: ${modules.why}`],
      remedy: 'as root: modprobe vfio-pci',
    })
  }
  if (!modules.known || !available.known) {
    const evidence: string[] = []
    if (!modules.known) evidence.push(`/sys/module: ${modules.why}`)
    if (!available.known) evidence.push(`modules of this kernel: ${available.why}`)
    return finding('HOST-VFIO-PCI', 'unknown', {
      fact: 'whether the driver vfio-pci is there is unknown',
      evidence,
      remedy: 'as root: modprobe vfio-pci',
    })
  }
  return finding('HOST-VFIO-PCI', 'problem', {
    fact: 'this kernel has no driver vfio-pci',
    evidence: ['/sys/module/vfio_pci: not there', 'not among the modules of this kernel'],
    remedy:
      "install the package that holds this kernel's extra modules, or a kernel built with CONFIG_VFIO_PCI",
  })
}

/** The container back end is loaded apart: /dev/vfio/vfio alone does not bring it. */
function backEndFinding({ modules }: VfioFacts): HostFinding[] {
  if (!modules.known) {
    return [
      finding('HOST-VFIO-TYPE1', 'unknown', {
        fact: "whether VFIO's IOMMU back end is loaded is unknown",
        evidence: [`/sys/module: ${modules.why}`],
      }),
    ]
  }
  // Nothing to say before VFIO itself is loaded: loading vfio-pci brings what it needs.
  if (!modules.value.includes('vfio')) return []
  const backEnd = BACK_ENDS.find((name) => modules.value.includes(name))
  if (backEnd !== undefined) {
    const fact = "VFIO's IOMMU back end is loaded"
    return [finding('HOST-VFIO-TYPE1', 'ok', { fact, evidence: [`/sys/module/${backEnd}`] })]
  }
  return [
    finding('HOST-VFIO-TYPE1', 'info', {
      fact: 'VFIO is loaded without an IOMMU back end, which maps memory for devices',
      evidence: BACK_ENDS.map((name) => `/sys/module/${name}: not there`),
      remedy: 'as root: modprobe vfio_iommu_type1',
    }),
  ]
}

const BACK_ENDS = ['vfio_iommu_type1', 'vfio_iommu_spapr_tce', 'iommufd']

function nodeFinding({ nodes, modules }: VfioFacts): HostFinding {
  if (!nodes.known) {
    return finding('HOST-VFIO-NODE', 'unknown', {
      fact: 'whether /dev/vfio/vfio is there is unknown',
      evidence: [`/dev/vfio: ${nodes.why}`],
    })
  }
  const node = ['vfio', 'devices'].find((name) => nodes.value.includes(name))
  if (node !== undefined) {
    const fact = 'the way into VFIO is there'
    return finding('HOST-VFIO-NODE', 'ok', { fact, evidence: [`/dev/vfio/${node}`] })
  }
  if (!modules.known) {
    return finding('HOST-VFIO-NODE', 'unknown', {
      fact: 'there is no /dev/vfio/vfio; whether VFIO is loaded is unknown',
      evidence: [`/sys/module: ${modules.why}`],
      remedy: 'as root: modprobe vfio',
    })
  }
  const loaded = modules.value.includes('vfio')
  return finding('HOST-VFIO-NODE', loaded ? 'problem' : 'info', {
    fact: loaded
      ? 'VFIO is loaded, but /dev/vfio/vfio is missing: a container without it, or a /dev that is not kept by the kernel'
      : 'there is no /dev/vfio/vfio, since VFIO is not loaded',
    evidence: [
      nodes.value.length === 0
        ? '/dev/vfio: empty or missing'
        : `/dev/vfio: ${listed(nodes.value)}`,
    ],
    remedy: loaded
      ? 'pass /dev/vfio/vfio and the group nodes into the container'
      : 'as root: modprobe vfio-pci',
  })
}

const MODE = 'vfio.enable_unsafe_noiommu_mode'

/** drivers/vfio/group.c: groups without an IOMMU, for drivers in user space that are trusted anyway. */
function noIommuFinding({ vfio, groups }: HostSnapshot): HostFinding | null {
  const nodes = vfio.nodes.known ? vfio.nodes.value.filter((name) => /^noiommu-/.test(name)) : []
  const named = groups.known
    ? groups.value.filter(({ name }) => name.known && name.value === 'vfio-noiommu')
    : []
  const mode = vfio.parameters[MODE]
  const evidence = [
    ...nodes.map((name) => `/dev/vfio/${name}`),
    ...named.map(({ id }) => `/sys/kernel/iommu_groups/${id}/name: vfio-noiommu`),
    ...(mode === undefined ? [] : [`${parameterPath(MODE)}: ${mode}`]),
  ]
  const remedy = `as root: echo N > ${parameterPath(MODE)}, and unbind these devices from vfio-pci`
  if (nodes.length > 0 || named.length > 0) {
    return finding('HOST-NOIOMMU', 'problem', {
      fact: 'VFIO hands out devices without an IOMMU: their owner can read and write all memory of this host',
      evidence,
      remedy,
      about: [
        ...new Set([...named.map(({ id }) => id), ...named.flatMap(({ members }) => members)]),
      ],
    })
  }
  if (mode === undefined || !/^[Yy1]/.test(mode)) return null
  return finding('HOST-NOIOMMU', 'warning', {
    fact: 'VFIO may hand out devices that no IOMMU covers, which isolates nothing',
    evidence,
    remedy: `as root: echo N > ${parameterPath(MODE)}`,
  })
}
