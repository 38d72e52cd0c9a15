/**
 * Every PCI function of the host.
 *
 * One file per function is read at once (modalias: class and ids); everything that few commands or few devices need
 * (driver, config space, revision, reset methods, names) is read on first use and kept. To a caller it is all the same:
 * plain values that do not change.
 *
 * Not uevent, which has it all: some kernels (6.1.192) hold the device's lock while they write it (uevent_show), so
 * that whoever reads it waits, deaf to SIGKILL, for as long as a driver does not let go of the device.
 */
import { type Fact, known, mapFact, unknown } from '../base/fact.ts'
import type { PciFunction, PciIds } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { compareAddresses, parseAddress } from '../pci/address.ts'
import { decodeConfig } from '../pci/config-decode.ts'
import { type ConfigFacts, unreadConfig } from '../pci/config-facts.ts'
import type { DeviceNames } from '../pci/pci-ids.ts'
import type { ListedFunction, Placement } from './parents.ts'
import { baseName, readBytes, readLink, readText } from './reading.ts'

export const PCI_DEVICES = '/sys/bus/pci/devices'

/** An unprivileged read stops here: 64 bytes, 128 for a CardBus bridge (pci_read_config, pci-sysfs.c). */
const UNPRIVILEGED_BYTES = 128

const REVISION_OFFSET = 0x08

export function readFunctions(
  kernel: KernelView,
  listed: readonly ListedFunction[],
  placement: Placement,
  groupOf: (address: string) => Fact<string | null>,
  names: () => DeviceNames,
): readonly PciFunction[] {
  const identities = new Map<string, Identity>()
  return listed.map((fn) => {
    const { address } = fn
    const identity = readIdentity(kernel, address, identities)
    const parent = placement.parentOf(fn)
    return new LinuxFunction(kernel, address, parent, groupOf(address), identity, names)
  })
}

const NO_FUNCTION = known(null)
const NO_DRIVER = known(null)

/** Thousands of virtual functions differ in nothing but their address. */
function readIdentity(
  kernel: KernelView,
  address: string,
  identities: Map<string, Identity>,
): Identity {
  const alias = readText(kernel, `${PCI_DEVICES}/${address}/modalias`)
  if (!alias.known) return parseUevent(null, alias.why)
  if (alias.value === null) return readUevent(kernel, address)
  let identity = identities.get(alias.value)
  if (identity === undefined) {
    identity = parseAlias(alias.value)
    identities.set(alias.value, identity)
  }
  return identity
}

/** Of trees that somebody copied without the other file. */
function readUevent(kernel: KernelView, address: string): Identity {
  const uevent = readText(kernel, `${PCI_DEVICES}/${address}/uevent`)
  if (!uevent.known) return parseUevent(null, uevent.why)
  return parseUevent(uevent.value, `${address} has gone`)
}

/** Vendor, device, their subsystem's, and the three bytes of the class (modalias_show, drivers/pci/pci-sysfs.c). */
const ALIAS =
  /^pci:v([0-9A-F]{8})d([0-9A-F]{8})sv([0-9A-F]{8})sd([0-9A-F]{8})bc([0-9A-F]{2})sc([0-9A-F]{2})i([0-9A-F]{2})$/

function parseAlias(text: string): Identity {
  const match = ALIAS.exec(text)
  if (match === null) {
    const why = `modalias has "${text.slice(0, 80)}", wanted pci:v...d...sv...sd...bc..sc..i..`
    return { ...parseUevent(null, why), driver: null }
  }
  const [vendor = 0, device = 0, subVendor = 0, subDevice = 0, base = 0, sub = 0, face = 0] = match
    .slice(1)
    .map((digits) => parseInt(digits, 16))
  return {
    classCode: known((base << 16) | (sub << 8) | face),
    vendor: known(vendor),
    device: known(device),
    subsystem: known(
      subVendor === 0 && subDevice === 0 ? null : { vendor: subVendor, device: subDevice },
    ),
    driver: null,
  }
}

/** @param text null: it cannot be read @param why then */
function parseUevent(text: string | null, why: string): Identity {
  const ids = idsField(text, 'PCI_ID', why)
  return {
    classCode: hexField(text, 'PCI_CLASS', why),
    vendor: mapFact(ids, (pair) => pair.vendor),
    device: mapFact(ids, (pair) => pair.device),
    subsystem: mapFact(idsField(text, 'PCI_SUBSYS_ID', why), (pair) =>
      pair.vendor === 0 && pair.device === 0 ? null : pair,
    ),
    driver: text === null ? unknown(why) : known(field(text, 'DRIVER')),
  }
}

/** @throws KernelError when there is no PCI bus */
export function listFunctions(kernel: KernelView): ListedFunction[] {
  const listed: ListedFunction[] = []
  for (const address of kernel.list(PCI_DEVICES)) {
    const at = parseAddress(address)
    if (at !== null) listed.push({ address, at })
  }
  return listed.sort((a, b) => compareAddresses(a.at, b.at))
}

/** What one file tells; functions of one product share the object. */
interface Identity {
  readonly vendor: Fact<number>
  readonly device: Fact<number>
  readonly classCode: Fact<number>
  readonly subsystem: Fact<PciIds | null>
  /** Null: the file does not tell. */
  readonly driver: Fact<string | null> | null
}

/** Getters memoize; toJSON gives the plain object. */
class LinuxFunction implements PciFunction {
  readonly address: string
  readonly parent: string | null
  readonly group: Fact<string | null>
  readonly #kernel: KernelView
  readonly #names: () => DeviceNames
  readonly #identity: Identity
  #driver: Fact<string | null> | undefined
  #physicalFunction: Fact<string | null> | undefined
  #config: ConfigFacts | undefined
  #revision: Fact<number> | undefined
  #resetMethods: Fact<readonly string[]> | undefined

  constructor(
    kernel: KernelView,
    address: string,
    parent: string | null,
    group: Fact<string | null>,
    identity: Identity,
    names: () => DeviceNames,
  ) {
    this.#kernel = kernel
    this.#names = names
    this.#identity = identity
    this.address = address
    this.parent = parent
    this.group = group
  }

  get vendor(): Fact<number> {
    return this.#identity.vendor
  }

  get device(): Fact<number> {
    return this.#identity.device
  }

  get classCode(): Fact<number> {
    return this.#identity.classCode
  }

  get subsystem(): Fact<PciIds | null> {
    return this.#identity.subsystem
  }

  get driver(): Fact<string | null> {
    this.#driver ??= this.#identity.driver ?? this.#readDriver()
    return this.#driver
  }

  #readDriver(): Fact<string | null> {
    const path = `${PCI_DEVICES}/${this.address}/driver`
    // Existence is asked first since a missing link costs thrice.
    if (!this.#kernel.exists(path)) return this.#withoutDriver()
    return mapFact(readLink(this.#kernel, path), (link) => (link === null ? null : baseName(link)))
  }

  /** A function that has gone has no link either. */
  #withoutDriver(): Fact<string | null> {
    const isThere = this.#kernel.exists(`${PCI_DEVICES}/${this.address}`)
    return isThere ? NO_DRIVER : unknown(`${this.address} has gone`)
  }

  get name(): string | null {
    if (!this.vendor.known || !this.device.known) return null
    return this.#names().device(this.vendor.value, this.device.value)
  }

  get className(): string | null {
    return this.classCode.known ? this.#names().className(this.classCode.value >> 8) : null
  }

  get physicalFunction(): Fact<string | null> {
    this.#physicalFunction ??= this.#readPhysicalFunction()
    return this.#physicalFunction
  }

  #readPhysicalFunction(): Fact<string | null> {
    // Bridges have no virtual functions; existence is asked first since a missing link costs thrice.
    if (this.classCode.known && this.classCode.value >> 16 === 0x06) return NO_FUNCTION
    const path = `${PCI_DEVICES}/${this.address}/physfn`
    if (!this.#kernel.exists(path)) return NO_FUNCTION
    return mapFact(readLink(this.#kernel, path), (link) => (link === null ? null : baseName(link)))
  }

  get config(): ConfigFacts {
    this.#config ??= this.#readConfig()
    return this.#config
  }

  #readConfig(): ConfigFacts {
    const bytes = readBytes(this.#kernel, `${PCI_DEVICES}/${this.address}/config`)
    if (!bytes.known) return unreadConfig(`config space: ${bytes.why}`)
    if (bytes.value === null) return unreadConfig('config space: the kernel offers none')
    const { length } = bytes.value
    const facts = decodeConfig(bytes.value, length > UNPRIVILEGED_BYTES)
    return length > UNPRIVILEGED_BYTES ? facts : withRemedy(facts)
  }

  get revision(): Fact<number> {
    this.#revision ??= this.#readRevision()
    return this.#revision
  }

  #readRevision(): Fact<number> {
    const path = `${PCI_DEVICES}/${this.address}/revision`
    const text = readText(this.#kernel, path)
    if (!text.known) return text
    if (text.value !== null) {
      const digits = /^0x([0-9a-f]{1,2})$/.exec(text.value)?.[1]
      if (digits !== undefined) return known(parseInt(digits, 16))
      return unknown(`${path} holds "${text.value.slice(0, 40)}", wanted 0x and two digits`)
    }
    // The file came with 4.10; everybody may read this byte of config space.
    const config = readBytes(this.#kernel, `${PCI_DEVICES}/${this.address}/config`)
    const revision = config.known ? config.value?.[REVISION_OFFSET] : undefined
    return revision === undefined ? unknown(`${path} does not exist`) : known(revision)
  }

  get resetMethods(): Fact<readonly string[]> {
    this.#resetMethods ??= this.#readResetMethods()
    return this.#resetMethods
  }

  #readResetMethods(): Fact<readonly string[]> {
    const path = `${PCI_DEVICES}/${this.address}/reset_method`
    const text = readText(this.#kernel, path)
    if (!text.known) return text
    if (text.value !== null) return known(text.value.split(/\s+/).filter((word) => word !== ''))
    // The file came with 5.15 and is left out for functions that cannot be reset; `reset` says which.
    const resettable = this.#kernel.exists(`${PCI_DEVICES}/${this.address}/reset`)
    return resettable
      ? unknown('this kernel does not list reset methods (reset_method came with 5.15)')
      : known([])
  }

  toJSON(): PciFunction {
    const { address, parent, vendor, device, classCode, revision, subsystem } = this
    const { name, className, driver, physicalFunction, group, config, resetMethods } = this
    return {
      address,
      parent,
      vendor,
      device,
      classCode,
      revision,
      subsystem,
      name,
      className,
      driver,
      physicalFunction,
      group,
      config,
      resetMethods,
    }
  }
}

/** What an ordinary user may not read, root may: the reason says so. */
function withRemedy(facts: ConfigFacts): ConfigFacts {
  const explain = <T>(fact: Fact<T>): Fact<T> =>
    fact.known || !fact.why.endsWith('bytes readable') ? fact : unknown(`${fact.why} (needs root)`)
  return {
    ...facts,
    pcie: explain(facts.pcie),
    acs: explain(facts.acs),
    sriov: explain(facts.sriov),
    functionLevelReset: explain(facts.functionLevelReset),
    capabilities: explain(facts.capabilities),
    extendedCapabilities: explain(facts.extendedCapabilities),
  }
}

/** Value of a KEY=value line; null when there is none. */
function field(text: string, key: string): string | null {
  let start = text.startsWith(`${key}=`) ? 0 : text.indexOf(`\n${key}=`) + 1
  if (start === 0 && !text.startsWith(`${key}=`)) return null
  start += key.length + 1
  const end = text.indexOf('\n', start)
  return text.slice(start, end < 0 ? text.length : end)
}

function hexField(text: string | null, key: string, why: string): Fact<number> {
  const value = text === null ? null : field(text, key)
  if (value === null) return unknown(text === null ? why : `uevent has no ${key}`)
  return /^[0-9a-f]{1,8}$/i.test(value)
    ? known(parseInt(value, 16))
    : unknown(`uevent has ${key}=${value}, which is not hexadecimal`)
}

function idsField(text: string | null, key: string, why: string): Fact<PciIds> {
  const value = text === null ? null : field(text, key)
  if (value === null) return unknown(text === null ? why : `uevent has no ${key}`)
  const match = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(value)
  if (match === null) return unknown(`uevent has ${key}=${value}, wanted two ids`)
  return known({ vendor: parseInt(match[1] ?? '', 16), device: parseInt(match[2] ?? '', 16) })
}
