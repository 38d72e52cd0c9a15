/**
 * The small machines whose every interleaving is explored, and what may happen on each. Together they
 * have all of: bind, unbind, probe, hot add, hot remove, open, set container, map, DMA (checked in every
 * state), close, merge, making virtual functions.
 */
import { deviceTemplate } from '../src/model/hardware/devices/catalogue.ts'
import { buildMachine } from '../src/model/machine/builder.ts'
import type { MachineDescription } from '../src/model/machine/description.ts'
import { parseModel } from '../src/open/model-file.ts'
import { type FindNewcomers, guardOf } from './guard.ts'
import type { Operation, Run, WorldPlan } from './model-run.ts'
import { IOVA_PAGES } from './observed.ts'
import {
  bind,
  map,
  openDevice,
  openings,
  override,
  plug,
  probe,
  pull,
  remove,
  rescan,
  setContainer,
  setIommu,
  unbind,
  unmap,
  unsetContainer,
  virtualFunctions,
  write,
} from './operations.ts'

/** Every driver is offered every device: only those that have a part. */
const LOADED = ['pcieport', 'e1000', 'e1000e', 'nvme', 'pci-stub', 'vfio-pci']

function machine(name: string, devices: readonly object[]): MachineDescription {
  const form = {
    format: 'isogroup-model',
    version: 1,
    name,
    title: name,
    kernel: '6.12.117',
    // No table of remapped interrupts: all is made anew for every path.
    commandLine: 'vfio_iommu_type1.allow_unsafe_interrupts=1',
    iommu: { kind: 'intel', interruptRemapping: false },
    buses: [{ devices }],
    expected: 'singletons',
  }
  return { ...buildMachine(parseModel(form).form), loaded: LOADED, memoryBytes: 512 * 1024 }
}

function template(kind: string): NonNullable<ReturnType<typeof deviceTemplate>> {
  const found = deviceTemplate(kind)
  if (found === undefined) throw new Error(`no kind of device "${kind}"`)
  return found
}

/** Given to vfio-pci before the story begins. */
function handOver(run: Run, ...addresses: readonly string[]): void {
  for (const address of addresses) {
    const device = run.model.pci.device(address)
    if (device === undefined) throw new Error(`${address} is not in the machine`)
    device.driverOverride = 'vfio-pci'
    const text = Uint8Array.from(address, (char) => char.charCodeAt(0))
    run.model.run(
      'bind',
      run.model.files.write('/sys/bus/pci/drivers/vfio-pci/bind', text, run.user),
    )
    if (device.driver?.name !== 'vfio-pci') throw new Error(`${address} did not go to vfio-pci`)
  }
}

/** A context keeps a few empty tables once it had some: so that this is no leak, it has had some. */
function warm(run: Run, ...operations: readonly Operation[]): void {
  for (const { name, begin } of operations) run.model.run(name, begin(run))
}

const [FIRST = 0, SECOND = 0] = IOVA_PAGES
const A = '0000:01:00.0'
const B = '0000:01:00.1'

/** One group of two functions: a user wants it, an administrator gives the second one to its kernel driver. */
const pair: WorldPlan = {
  name: 'pair',
  machine: machine('pair', [
    {
      kind: 'root-port',
      below: [
        {
          functions: [
            { kind: 'nic', driver: null },
            { kind: 'nic', driver: null },
          ],
        },
      ],
    },
  ]),
  prepare: (run) => {
    handOver(run, A)
    warm(run, bind('e1000e', B), unbind(B))
  },
  operations: [
    ...openings([A], 2),
    setContainer(A, 2),
    setIommu(2),
    map(FIRST),
    unmap(FIRST),
    ...openDevice(A),
    unsetContainer(A),
    bind('e1000e', B, 2),
    unbind(B, 2),
    unbind(A),
    probe(B),
  ],
  threads: 2,
}

/** Two groups, one container: put together, taken apart, one of them pulled out. */
const merge: WorldPlan = {
  name: 'merge',
  machine: machine('merge', [
    { kind: 'root-port', below: [{ kind: 'edu', driver: null }] },
    { kind: 'root-port', below: [{ kind: 'edu', driver: null }] },
  ]),
  prepare: (run) => {
    handOver(run, A, '0000:02:00.0')
  },
  operations: [
    ...openings([A, '0000:02:00.0'], 1),
    setContainer(A, 2),
    setContainer('0000:02:00.0'),
    setIommu(),
    map(FIRST),
    map(SECOND),
    unmap(FIRST),
    ...openDevice(A),
    unsetContainer(A),
    unsetContainer('0000:02:00.0'),
    pull('0000:02:00.0'),
  ],
  threads: 2,
}

/** A card is plugged into a group, and pulled out, while a user comes to have it. */
const newcomer: WorldPlan = {
  name: 'newcomer',
  machine: machine('newcomer', [
    {
      kind: 'root-port',
      below: [{ kind: 'pcie-pci-bridge', below: [{ slot: '01', kind: 'edu', driver: null }] }],
    },
  ]),
  prepare: (run) => {
    handOver(run, '0000:02:01.0')
    warm(run, plug(template('pci-nic'), '0000:01:00.0', 0x10), pull('0000:02:02.0'))
  },
  operations: [
    ...openings(['0000:02:01.0'], 1),
    setContainer('0000:02:01.0'),
    setIommu(),
    map(FIRST),
    plug(template('pci-nic'), '0000:01:00.0', 0x10),
    pull('0000:02:02.0'),
    override('0000:02:02.0', 'pci-stub'),
    unbind('0000:02:02.0'),
    bind('e1000', '0000:02:02.0'),
    remove('0000:02:01.0'),
    rescan(),
  ],
  threads: 3,
}

/** Virtual functions come and go, some to the kernel's driver and some to a user. */
const virtual: WorldPlan = {
  name: 'virtual',
  machine: machine('virtual', [
    { kind: 'root-port', below: [{ kind: 'nvme-sriov', totalVfs: 2 }] },
  ]),
  operations: [
    ...openings(['0000:01:00.1'], 1),
    setContainer('0000:01:00.1'),
    setIommu(),
    map(FIRST),
    ...openDevice('0000:01:00.1'),
    virtualFunctions(A, 2, 2),
    virtualFunctions(A, 0, 2),
    write(
      'switch autoprobe of virtual functions off',
      `/sys/bus/pci/devices/${A}/sriov_drivers_autoprobe`,
      '0',
    ),
    unbind('0000:01:00.1'),
    override('0000:01:00.1', 'vfio-pci'),
    probe('0000:01:00.1', 2),
    unbind(A),
  ],
  threads: 3,
}

/** A claimed group and its guard: a card comes and goes, users come and go, drivers are offered what there is. */
export function guardedWorld(find?: FindNewcomers): WorldPlan {
  return {
    name: 'guarded',
    machine: machine('guarded', [
      {
        kind: 'root-port',
        below: [{ kind: 'pcie-pci-bridge', below: [{ slot: '01', kind: 'edu', driver: null }] }],
      },
      { kind: 'root-port', below: [{ kind: 'nic' }] },
    ]),
    prepare: (run) => {
      handOver(run, '0000:02:01.0')
      warm(run, plug(template('pci-nic'), '0000:01:00.0', 0x10), pull('0000:02:02.0'))
    },
    operations: [
      guardOf('0000:02:01.0', find),
      ...openings(['0000:02:01.0'], 2),
      setContainer('0000:02:01.0'),
      setIommu(),
      plug(template('pci-nic'), '0000:01:00.0', 0x10, 2),
      pull('0000:02:02.0', 2),
      probe('0000:02:02.0'),
      unbind('0000:02:02.0'),
      unbind('0000:02:01.0'),
      bind('e1000', '0000:02:02.0'),
    ],
    threads: 3,
  }
}

export const WORLDS: readonly WorldPlan[] = [pair, merge, newcomer, virtual, guardedWorld()]
