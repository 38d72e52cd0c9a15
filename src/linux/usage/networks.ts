/**
 * What the host's network is to a function: addresses, routes and logins of its interfaces, and of everything
 * that stands on them.
 */
import { type Fact, known, unknown } from '../../base/fact.ts'
import type { LoginUse, NetworkUse } from '../../isolation/live-host.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { baseName, readLink, readList, readText } from '../reading.ts'
import { type Connections, type Login, readConnections } from './connections.ts'
import { type Console, readConsoles } from './consoles.ts'
import { type Interface, type Interfaces, readInterfaces, withUppers } from './interfaces.ts'
import { hasPci, isBelow, isPhysical } from './pci-path.ts'
import { readRouting, type Routing } from './routes.ts'

export interface Networks {
  readonly interfaces: Interfaces
  readonly routing: Routing
  readonly connections: Connections
  readonly consoles: readonly Console[]
}

/** Read once for any number of functions. @param sshConnection of the caller, if it has one */
export function readNetworks(kernel: KernelView, sshConnection: string | null): Fact<Networks> {
  const interfaces = readInterfaces(kernel)
  if (!interfaces.known) return interfaces
  const routing = readRouting(kernel)
  if (!routing.known) return routing
  const connections = readConnections(kernel, sshConnection)
  if (!connections.known) return connections
  const consoles = readConsoles(kernel)
  if (!consoles.known) return consoles
  return known({
    interfaces: interfaces.value,
    routing: routing.value,
    connections: connections.value,
    consoles: consoles.value,
  })
}

export function networksOf(
  kernel: KernelView,
  address: string,
  networks: Networks,
): Fact<readonly NetworkUse[]> {
  const { interfaces } = networks
  const own = interfacesOf(address, interfaces)
  if (own.length === 0) {
    const hidden = hiddenInterface(kernel, address)
    return hidden === null ? known([]) : unknown(hidden)
  }
  const uses = own.flatMap((one) => usesOf(one, networks))
  const stray = strayLogin(networks)
  const isUsed = uses.some(({ use }) => use !== 'up')
  const mine = uses.some(({ use }) => use === 'login')
  // A login over a tunnel or a software switch arrives by some card that is in use.
  if (stray !== null && isUsed && !mine) {
    return unknown(
      `the connection from ${stray.from} to ${stray.address} may come by ${own.map(({ name }) => name).join(', ')}`,
    )
  }
  return known(uses)
}

/** Interfaces and consoles by which one can log in, behind the function and elsewhere. */
export function loginsOf(address: string, networks: Networks): LoginUse {
  const ways = [...networks.consoles, ...waysByNetwork(networks)]
  const isHere = ({ path }: Console): boolean => isBelow(path, address)
  return {
    here: ways.filter(isHere).map(({ name }) => name),
    elsewhere: ways.filter((one) => !isHere(one)).map(({ name }) => name),
  }
}

function waysByNetwork({ interfaces, routing, connections }: Networks): readonly Interface[] {
  if (!connections.letsIn) return []
  const addressed = new Set(routing.addresses.map(({ name }) => name))
  return [...interfaces.values()].filter(
    ({ name, path, isUp }) =>
      isUp &&
      isPhysical(path) &&
      withUppers(name, interfaces).some((one) => addressed.has(one.name)),
  )
}

function interfacesOf(address: string, interfaces: Interfaces): readonly Interface[] {
  return [...interfaces.values()].filter(({ path }) => isBelow(path, address))
}

const ETHERNET_CLASS = '0x0200'

/** Drivers that make no interface: VFIO's and other placeholders. */
const WITHOUT_INTERFACE = /vfio|^pci-stub$|^uio_|^igb_uio$/

/** An Ethernet card on a driver, with no interface to be seen: it is in another network namespace. */
function hiddenInterface(kernel: KernelView, address: string): string | null {
  const dir = `/sys/bus/pci/devices/${address}`
  const classCode = readText(kernel, `${dir}/class`)
  if (!classCode.known) return classCode.why
  if (classCode.value?.startsWith(ETHERNET_CLASS) !== true) return null
  const driver = readLink(kernel, `${dir}/driver`)
  if (!driver.known) return driver.why
  const name = driver.value === null ? null : baseName(driver.value)
  if (name === null || WITHOUT_INTERFACE.test(name)) return null
  if (name === 'virtio-pci' && !hasVirtioDriver(kernel, dir)) return null
  return 'it is a network card on a driver, but its interface is not to be seen: it may be in another network namespace'
}

/** virtio-pci only finds the devices below it; interfaces are made by a driver of those, which may not be loaded. */
function hasVirtioDriver(kernel: KernelView, dir: string): boolean {
  const names = readList(kernel, dir)
  if (!names.known) return true
  const below = (names.value ?? []).filter((name) => /^virtio\d+$/.test(name))
  return below.some((name) => kernel.exists(`${dir}/${name}/driver`))
}

function usesOf(one: Interface, networks: Networks): NetworkUse[] {
  const { interfaces, routing, connections } = networks
  const uses: NetworkUse[] = []
  for (const level of withUppers(one.name, interfaces)) {
    const by = level === one ? '' : ` (through ${level.name})`
    const add = (use: NetworkUse['use'], detail: string): void => {
      uses.push({ name: one.name, use, detail: `${detail}${by}`.trim() })
    }
    for (const upper of level === one ? level.uppers : []) {
      const kind = interfaces.get(upper)?.kind ?? ''
      add('port', kind === '' ? upper : `${kind} ${upper}`)
    }
    for (const { name, address } of routing.addresses) {
      if (name === level.name) add('address', address)
    }
    for (const { name, to, isDefault } of routing.routes) {
      if (name === level.name) add(isDefault ? 'default' : 'route', to)
    }
    for (const login of connections.logins) {
      if (carries(login, level.name, routing)) add('login', loginText(login))
    }
  }
  if (uses.length === 0 && one.isUp) uses.push({ name: one.name, use: 'up', detail: '' })
  return uses
}

function loginText({ from, isCallers }: Login): string {
  return isCallers ? `from ${from}` : `from ${from}, which may be yours`
}

function carries({ address, zone }: Login, name: string, { addresses }: Routing): boolean {
  if (zone !== null) return zone === name
  return addresses.some((one) => one.name === name && one.address === address)
}

/** A login whose address is on no interface with a card below it, nor on loopback. */
function strayLogin({ connections, interfaces, routing }: Networks): Login | null {
  const cards = [...interfaces.values()].filter(({ path }) => isPhysical(path) || hasPci(path))
  const reached = new Set(
    cards.flatMap(({ name }) => withUppers(name, interfaces).map((one) => one.name)),
  )
  return (
    connections.logins.find(
      (login) =>
        !login.address.startsWith('127.') &&
        !/^(?:0000:){7}0001$/.test(login.address) &&
        ![...reached].some((name) => carries(login, name, routing)),
    ) ?? null
  )
}
