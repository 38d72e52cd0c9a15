/**
 * PCI trees as data, and their rendering into QEMU's `-device` arguments.
 *
 * A machine is a list of slots on the root bus. A slot holds one to eight functions; a function is an
 * endpoint or a bridge; a bridge has slots below it. The lab's machines are written in this
 * vocabulary, printed in it when a difference is found, and generated in it by random-topology.ts.
 *
 * QEMU's limits, kept here because they are its alone: every port wants a chassis number of its own,
 * a conventional bridge with hot-plug control cannot use its slot 0, below a PCIe port only slot 0
 * exists, boot ROMs are separate packages (so none is asked for), and ports reserve I/O windows of
 * which there are only sixteen (so only ports above a device with I/O registers get one).
 */
/** Endpoints, by QEMU device name. Only e1000, e1000e and pci-testdev have I/O registers. */
export type EndpointModel =
  | 'e1000'
  | 'e1000e'
  | 'edu'
  | 'ich9-intel-hda'
  | 'nvme'
  | 'pci-testdev'
  | 'qemu-xhci'
  | 'virtio-net-pci'
  | 'virtio-rng-pci'

export type BridgeModel =
  | 'pcie-root-port'
  | 'ioh3420'
  | 'x3130-upstream'
  | 'xio3130-downstream'
  | 'pcie-pci-bridge'
  | 'i82801b11-bridge'
  | 'pci-bridge'

export type Endpoint = {
  readonly kind: 'endpoint'
  readonly model: EndpointModel
  /** Further device properties, as `name=value`. */
  readonly properties: readonly string[]
  /** How many SR-IOV virtual functions it can make (NVMe only). */
  readonly virtualFunctions: number
}

export type Bridge = {
  readonly kind: 'bridge'
  readonly model: BridgeModel
  /** Whether it has an ACS capability. Root ports have a choice; QEMU's other bridges have none. */
  readonly acs: boolean
  readonly below: readonly Slot[]
}

export type Piece = Endpoint | Bridge

export type Slot = {
  readonly slot: number
  readonly functions: readonly Piece[]
  /** Whose header has the multifunction bit, when there are several functions. */
  readonly multifunctionBit: 'first' | 'every'
}

/** A second PCI Express root bus (`pxb-pcie`), which appears as a device in `slot` of bus 0. */
export type ExtraRootBus = {
  readonly slot: number
  readonly busNumber: number
  readonly below: readonly Slot[]
}

export type Topology = {
  readonly slots: readonly Slot[]
  readonly extraRootBuses: readonly ExtraRootBus[]
}

export function endpoint(
  model: EndpointModel,
  options: { readonly properties?: readonly string[]; readonly virtualFunctions?: number } = {},
): Endpoint {
  const { properties = [], virtualFunctions = 0 } = options
  return { kind: 'endpoint', model, properties, virtualFunctions }
}

export function bridge(model: BridgeModel, below: readonly Slot[] = []): Bridge {
  return { kind: 'bridge', model, acs: model === 'pcie-root-port', below }
}

/** A root port and what is plugged into it: one device, or several functions of one. */
export function rootPort(...functions: readonly Piece[]): Bridge {
  return bridge('pcie-root-port', functions.length === 0 ? [] : [slotOf(0, ...functions)])
}

/** The same with the ACS capability taken away. */
export function withoutAcs(port: Bridge): Bridge {
  if (!isRootPort(port.model)) throw new Error(`${port.model} has no ACS capability to take away`)
  return { ...port, acs: false }
}

/** A PCIe switch: each given piece sits below a downstream port of its own. */
export function pcieSwitch(...children: readonly Piece[]): Bridge {
  const ports = children.map((child, index) => {
    return slotOf(index, bridge('xio3130-downstream', [slotOf(0, child)]))
  })
  return bridge('x3130-upstream', ports)
}

export function slotOf(slot: number, ...functions: readonly Piece[]): Slot {
  return { slot, functions, multifunctionBit: 'first' }
}

function isRootPort(model: BridgeModel): boolean {
  return model === 'pcie-root-port' || model === 'ioh3420'
}

type Renderer = {
  readonly args: string[]
  /** Numbers devices, and gives every port its chassis. */
  count: number
}

/** QEMU arguments for everything in the topology, parents before children. */
export function topologyArguments(topology: Topology): readonly string[] {
  const renderer: Renderer = { args: [], count: 0 }
  for (const slot of topology.slots) renderSlot(renderer, slot, 'pcie.0')
  for (const extra of topology.extraRootBuses) {
    const id = nextId(renderer)
    const place = `bus=pcie.0,addr=0x${extra.slot.toString(16)}`
    renderer.args.push('-device', `pxb-pcie,id=${id},${place},bus_nr=${extra.busNumber}`)
    for (const slot of extra.below) renderSlot(renderer, slot, id)
  }
  return renderer.args
}

function nextId(renderer: Renderer): string {
  renderer.count += 1
  return `d${renderer.count}`
}

function renderSlot(renderer: Renderer, slot: Slot, bus: string): void {
  const { functions } = slot
  if (functions.length < 1 || functions.length > 8) {
    throw new Error(`slot ${slot.slot} on ${bus} has ${functions.length} functions, not 1 to 8`)
  }
  functions.forEach((piece, index) => {
    const several = functions.length > 1
    const marked = several && (index === 0 || slot.multifunctionBit === 'every')
    const address = `addr=0x${slot.slot.toString(16)}.${index}`
    const place = `bus=${bus},${address}${marked ? ',multifunction=on' : ''}`
    if (piece.kind === 'endpoint') renderEndpoint(renderer, piece, place)
    else renderBridge(renderer, piece, place)
  })
}

function renderEndpoint(renderer: Renderer, piece: Endpoint, place: string): void {
  const id = nextId(renderer)
  const properties = [piece.model, `id=${id}`, place, ...piece.properties]
  if (/^(e1000e?|virtio-net-pci)$/.test(piece.model)) properties.push('romfile=')
  if (piece.model.startsWith('virtio-')) properties.push('disable-legacy=on')
  if (piece.model === 'nvme') {
    properties.push(`serial=${id}`)
    if (piece.virtualFunctions > 0) {
      const vfs = piece.virtualFunctions
      renderer.args.push('-device', `nvme-subsys,id=${id}subsystem,nqn=${id}`)
      properties.push(`subsys=${id}subsystem`, `sriov_max_vfs=${vfs}`)
      properties.push(`sriov_vq_flexible=${vfs * 2}`, `sriov_vi_flexible=${vfs}`)
      properties.push(`max_ioqpairs=${vfs * 2 + 2}`, `msix_qsize=${vfs + 2}`)
    }
  }
  renderer.args.push('-device', properties.join(','))
}

function renderBridge(renderer: Renderer, piece: Bridge, place: string): void {
  const id = nextId(renderer)
  const properties: string[] = [piece.model, `id=${id}`, place]
  const isPort = isRootPort(piece.model) || piece.model === 'xio3130-downstream'
  if (isPort) properties.push(`chassis=${renderer.count}`)
  if (isRootPort(piece.model) && !piece.acs) properties.push('disable-acs=on')
  if (piece.model === 'pcie-root-port' && !needsIoWindow(piece)) properties.push('io-reserve=0')
  if (piece.model === 'pci-bridge') properties.push(`chassis_nr=${renderer.count}`)
  renderer.args.push('-device', properties.join(','))
  for (const slot of piece.below) renderSlot(renderer, slot, id)
}

/** Whether anything below has I/O registers, so that the bridge must pass I/O down. */
function needsIoWindow(piece: Piece): boolean {
  if (piece.kind === 'endpoint') return /^(e1000e?|pci-testdev)$/.test(piece.model)
  return piece.below.some((slot) => slot.functions.some(needsIoWindow))
}

/** The tree in words, one function a line, for people who have to understand a difference. */
export function describeTopology(topology: Topology): string {
  const lines = topology.slots.flatMap((slot) => describeSlot(slot, ''))
  for (const extra of topology.extraRootBuses) {
    lines.push(`${extra.slot.toString(16)}.0 pxb-pcie bus ${extra.busNumber.toString(16)}`)
    lines.push(...extra.below.flatMap((slot) => describeSlot(slot, '  ')))
  }
  return `${lines.join('\n')}\n`
}

function describeSlot(slot: Slot, indent: string): readonly string[] {
  return slot.functions.flatMap((piece, index) => {
    const notes: string[] = []
    if (piece.kind === 'bridge' && isRootPort(piece.model)) notes.push(piece.acs ? 'acs' : 'no acs')
    if (piece.kind === 'endpoint' && piece.virtualFunctions > 0) {
      notes.push(`${piece.virtualFunctions} virtual functions`)
    }
    if (slot.functions.length > 1 && (index === 0 || slot.multifunctionBit === 'every')) {
      notes.push('multifunction bit')
    }
    const text = notes.length === 0 ? piece.model : `${piece.model} (${notes.join(', ')})`
    const line = `${indent}${slot.slot.toString(16)}.${index} ${text}`
    const below = piece.kind === 'bridge' ? piece.below : []
    return [line, ...below.flatMap((child) => describeSlot(child, `${indent}  `))]
  })
}
