/**
 * Lays out a large but plausible host: how many functions, where they hang, which group each is in.
 *
 * Every root bus holds the same mixture: integrated endpoints, a root port with a two-port NIC and its
 * virtual functions, a switch with storage, a GPU and another NIC, a port with an eight-function
 * adapter, and a port with an SSD whose virtual functions lie on a bus of their own. The first root bus
 * of a domain also has conventional chipset functions and a VGA behind a PCIe-to-PCI bridge. A bit more
 * than half of all functions are virtual. Root ports and switch ports isolate (ACS), so groups are small;
 * those of several functions come from multifunction devices without ACS and from the bridge.
 *
 * Functions are listed parents first, so the first N of them are again a host.
 */
export interface SyntheticFunction {
  readonly address: string
  /** Functions that lead to it, outermost first; [] on a root bus. */
  readonly above: readonly SyntheticFunction[]
  readonly kind: Kind
  /** Number of its slot-mate group: functions with equal keys share a group. */
  readonly groupKey: string
  readonly multifunction: boolean
  /** The function that a virtual function belongs to. */
  readonly physical: SyntheticFunction | null
  /** Secondary and subordinate bus of a bridge. */
  readonly buses: readonly [number, number] | null
  readonly driver: string | null
}

/** What all functions of a sort have in common. Ids are those of real products. */
export interface Kind {
  readonly vendor: number
  readonly device: number
  readonly classCode: number
  /** PCI Express device/port type; null = conventional. */
  readonly type: number | null
  /** ACS capability and control; null = no such capability. */
  readonly acs: readonly [number, number] | null
  readonly drivers: readonly (string | null)[]
  /** What its virtual functions are. */
  readonly virtual: Kind | null
}

const ACS_ON: Kind['acs'] = [0x5f, 0x1d]
const NO_PEER_PATH: Kind['acs'] = [0, 0]

const KINDS = {
  memoryMap: kind(0x8086, 0x09a2, 0x088000, 9, null, [null]),
  accelerator: kind(0x8086, 0x0b25, 0x088000, 9, null, ['idxd']),
  rootPort: kind(0x8086, 0x347a, 0x060400, 4, ACS_ON, ['pcieport']),
  upstream: kind(0x1000, 0xc030, 0x060400, 5, null, ['pcieport']),
  downstream: kind(0x1000, 0xc030, 0x060400, 6, ACS_ON, ['pcieport']),
  e810: {
    ...kind(0x8086, 0x1592, 0x020000, 0, NO_PEER_PATH, ['ice']),
    virtual: kind(0x8086, 0x1889, 0x020000, 0, null, ['vfio-pci', 'iavf']),
  },
  connectx: {
    ...kind(0x15b3, 0x101b, 0x020700, 0, null, ['mlx5_core']),
    virtual: kind(0x15b3, 0x101c, 0x020700, 0, null, ['mlx5_core', 'vfio-pci']),
  },
  ssd: {
    ...kind(0x144d, 0xa824, 0x010802, 0, null, ['nvme']),
    virtual: kind(0x144d, 0xa824, 0x010802, 0, null, ['vfio-pci', null]),
  },
  plainSsd: kind(0x144d, 0xa80a, 0x010802, 0, null, ['nvme']),
  gpu: kind(0x10de, 0x2204, 0x030000, 1, null, ['vfio-pci', 'nvidia']),
  gpuAudio: kind(0x10de, 0x1aef, 0x040300, 0, null, ['vfio-pci', 'snd_hda_intel']),
  adapter: kind(0x1425, 0x5401, 0x020000, 0, null, ['cxgb4']),
  lpc: kind(0x8086, 0xa1c1, 0x060100, null, null, [null]),
  smbus: kind(0x8086, 0xa1a3, 0x0c0500, null, null, ['i801_smbus']),
  pciBridge: kind(0x1a03, 0x1150, 0x060400, 7, null, [null]),
  vga: kind(0x1a03, 0x2000, 0x030000, null, null, ['ast']),
} satisfies Record<string, Kind>

function kind(
  vendor: number,
  device: number,
  classCode: number,
  type: number | null,
  acs: Kind['acs'],
  drivers: Kind['drivers'],
): Kind {
  return { vendor, device, classCode, type, acs, drivers, virtual: null }
}

const ROOT_BUS_STEP = 32

/** The first `count` functions of the layout. */
export function layOutHost(count: number): readonly SyntheticFunction[] {
  const functions: SyntheticFunction[] = []
  for (let rootBus = 0; functions.length < count; rootBus += 1) {
    const domain = Math.floor(rootBus / 8)
    addRootBus(functions, domain, (rootBus % 8) * ROOT_BUS_STEP)
  }
  return functions.slice(0, count)
}

/** One place in the tree, and what is put there. */
interface Place {
  readonly domain: number
  readonly bus: number
  readonly above: readonly SyntheticFunction[]
}

function addRootBus(all: SyntheticFunction[], domain: number, bus: number): void {
  const root: Place = { domain, bus, above: [] }
  addSlot(
    all,
    root,
    0,
    Array.from({ length: 4 }, () => KINDS.memoryMap),
    'alone',
  )
  addSlot(all, root, 8, [KINDS.accelerator], 'alone')

  const nic = addBridge(all, root, 1, KINDS.rootPort, bus + 1, bus + 1)
  const ports = addSlot(all, nic, 0, [KINDS.e810, KINDS.e810], 'alone')
  ports.forEach((port, n) => addVirtual(all, nic, port, 16 + 12 * n, 12))

  const above = addBridge(all, root, 2, KINDS.rootPort, bus + 2, bus + 8)
  const upstream = addBridge(all, above, 0, KINDS.upstream, bus + 3, bus + 8)
  const devices = [
    [KINDS.plainSsd],
    [KINDS.plainSsd],
    [KINDS.gpu, KINDS.gpuAudio],
    [KINDS.connectx, KINDS.connectx],
  ]
  devices.forEach((slot, n) => {
    const below = addBridge(all, upstream, n, KINDS.downstream, bus + 4 + n, bus + 4 + n)
    const added = addSlot(all, below, 0, slot, 'together')
    added.forEach((fn, port) => addVirtual(all, below, fn, 8 + 8 * port, 8))
  })

  const adapter = addBridge(all, root, 3, KINDS.rootPort, bus + 9, bus + 9)
  addSlot(
    all,
    adapter,
    0,
    Array.from({ length: 8 }, () => KINDS.adapter),
    'together',
  )

  const storage = addBridge(all, root, 4, KINDS.rootPort, bus + 10, bus + 11)
  const [ssd] = addSlot(all, storage, 0, [KINDS.ssd], 'alone')
  if (ssd !== undefined) addVirtual(all, { ...storage, bus: bus + 11 }, ssd, 0, 16)

  if (bus !== 0) return
  addSlot(all, root, 31, [KINDS.lpc, KINDS.smbus, KINDS.smbus], 'together')
  const port = addBridge(all, root, 5, KINDS.rootPort, bus + 12, bus + 13)
  const bridge = addBridge(all, port, 0, KINDS.pciBridge, bus + 13, bus + 13)
  // The bridge's own id stands for everything behind it.
  addFunction(all, bridge, { slot: 0, fn: 0, kind: KINDS.vga, key: bridge.above.at(-1)?.groupKey })
}

/** Functions 0, 1, ... of a slot, each in a group of its own or all in one. */
function addSlot(
  all: SyntheticFunction[],
  place: Place,
  slot: number,
  kinds: readonly Kind[],
  grouping: 'alone' | 'together',
): SyntheticFunction[] {
  const key = `${place.domain}:${place.bus}:${slot}`
  return kinds.map((kind, fn) =>
    addFunction(all, place, {
      slot,
      fn,
      kind,
      multifunction: kinds.length > 1,
      key: grouping === 'together' ? key : undefined,
    }),
  )
}

function addBridge(
  all: SyntheticFunction[],
  place: Place,
  slot: number,
  kind: Kind,
  secondary: number,
  subordinate: number,
): Place {
  const bridge = addFunction(all, place, { slot, fn: 0, kind, buses: [secondary, subordinate] })
  return { domain: place.domain, bus: secondary, above: [...place.above, bridge] }
}

/** Virtual functions take consecutive device-function numbers of a bus (ARI). */
function addVirtual(
  all: SyntheticFunction[],
  place: Place,
  physical: SyntheticFunction,
  firstDevfn: number,
  count: number,
): void {
  const virtual = physical.kind.virtual
  if (virtual === null) return
  for (let n = 0; n < count; n += 1) {
    const devfn = firstDevfn + n
    addFunction(all, place, { slot: devfn >> 3, fn: devfn & 7, kind: virtual, physical })
  }
}

interface Added {
  readonly slot: number
  readonly fn: number
  readonly kind: Kind
  readonly key?: string | undefined
  readonly multifunction?: boolean
  readonly physical?: SyntheticFunction
  readonly buses?: readonly [number, number]
}

function addFunction(all: SyntheticFunction[], place: Place, added: Added): SyntheticFunction {
  const address = formatAddress(place.domain, place.bus, added.slot, added.fn)
  const { drivers } = added.kind
  const made: SyntheticFunction = {
    address,
    above: place.above,
    kind: added.kind,
    groupKey: added.key ?? address,
    multifunction: added.multifunction ?? false,
    physical: added.physical ?? null,
    buses: added.buses ?? null,
    driver: drivers[all.length % drivers.length] ?? null,
  }
  all.push(made)
  return made
}

function formatAddress(domain: number, bus: number, slot: number, fn: number): string {
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${fn}`
}

/** Lower-case hexadecimal of at least `digits` digits, without 0x. */
export function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
