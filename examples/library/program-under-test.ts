/** A program that says whether a device could be given to a user, and its test: no IOMMU needed, no root. */
import { assess, buildTopology, type Host, rulesFor } from 'isogroup'
import { type Kernel, KernelError, type MachineText, openModel } from 'isogroup/model'

/** The program: works on any host, real or not. */
function verdict(host: Host, address: string): string {
  const snapshot = host.snapshot()
  const { groups } = assess(snapshot, buildTopology(snapshot), rulesFor(snapshot, null))
  const group = groups.find(({ members }) => members.some((one) => one.address === address))
  return group === undefined ? 'no group' : group.viability.verdict
}

const board: MachineText = {
  kernel: '6.1.0',
  iommu: { kind: 'amd' },
  buses: [
    {
      devices: [
        { kind: 'root-port', below: [{ functions: [{ kind: 'nic' }, { kind: 'nic' }] }] },
        { kind: 'root-port', below: [{ kind: 'nvme', driver: 'vfio-pci' }] },
        { kind: 'root-port' },
      ],
    },
  ],
}
const machine = await openModel(board)
console.log(`kernel ${machine.kernel.text('/proc/sys/kernel/osrelease').trim()}`)
const [FIRST, SECOND] = ['0000:01:00.0', '0000:01:00.1']
console.log(`${FIRST}: ${verdict(machine.host, FIRST)}`)
console.log(
  `unbind: ${await unbind(machine.kernel, FIRST)}, ${await unbind(machine.kernel, SECOND)}`,
)
console.log(`${FIRST}: ${verdict(machine.host, FIRST)}`)
console.log(`unbind again: ${await unbind(machine.kernel, SECOND)}`)
const added = await machine.plug('nvme', '0000:00:02.0')
console.log(`plugged in: ${added}, ${verdict(machine.host, added)}`)

/** As `echo ADDRESS > .../driver/unbind`. */
async function unbind(kernel: Kernel, address: string): Promise<string> {
  const file = `/sys/bus/pci/devices/${address}/driver/unbind`
  try {
    await kernel.write(file, new TextEncoder().encode(address), 1000)
    return 'ok'
  } catch (error) {
    if (error instanceof KernelError) return error.code
    throw error
  }
}
