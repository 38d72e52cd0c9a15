/** One function of a twin: registers, virtual functions, driver and what the host uses it for. */
import { type Fact, known } from '../base/fact.ts'
import type { DeviceDetails, HostService, PciFunction } from '../isolation/host.ts'
import type { FunctionDescription } from '../model/machine/description.ts'
import { hex } from '../pci/address.ts'
import { extendedCapabilityOffset } from '../pci/config-decode.ts'
import { encodeConfig } from '../pci/config-encode.ts'
import { EXTENDED_CAPABILITY } from '../pci/config-facts.ts'

export interface TwinFunction {
  readonly description: FunctionDescription
  readonly assumed: readonly string[]
}

/** Directory under /sys/class in which a service of the kind is listed. */
const CLASS: Readonly<Record<HostService['kind'], string>> = {
  net: 'net',
  block: 'block',
  nvme: 'nvme',
  drm: 'drm',
  framebuffer: 'graphics',
  input: 'input',
  sound: 'sound',
  infiniband: 'infiniband',
  tty: 'tty',
  other: 'tpm',
}

/** An unprivileged read gives 64 or 128 bytes: too little to be used as registers. */
const WHOLE_BYTES = 256
/** BAR sizes are not in a snapshot; one page is enough for registers that nobody drives. */
const BAR_BYTES = 4096
const IO_BYTES = 32

/**
 * @param details undefined when the host tells no more than the snapshot
 * @param virtual its virtual functions, in address order
 * @param mates whether other functions sit in its slot
 */
export function twinFunction(
  fn: PciFunction,
  details: DeviceDetails | undefined,
  virtual: readonly PciFunction[],
  mates: boolean,
): TwinFunction {
  const assumed: string[] = []
  const config = ownBytes(details) ?? madeBytes(fn, mates, assumed)
  if (!fn.driver.known) assumed.push('driver: whoever takes it')
  const services = details?.services.known === true ? details.services.value : []
  const node = details?.numaNode.known === true ? details.numaNode.value : null
  return {
    description: {
      at: fn.address,
      parent: fn.parent,
      kind: 'generic',
      config: toHex(powerOn(config)),
      bars: barsOf(config),
      ...(fn.resetMethods.known ? { resetMethods: fn.resetMethods.value } : {}),
      ...(fn.driver.known ? { driver: fn.driver.value } : {}),
      ...(virtual.length === 0 ? {} : { virtualFunctions: virtual.map(driverOf) }),
      services: services.map(({ kind, name }) => ({ class: CLASS[kind], name })),
      ...(node === null ? {} : { numaNode: node }),
    },
    assumed,
  }
}

function driverOf(fn: PciFunction): { readonly driver: string | null } {
  return { driver: fn.driver.known ? fn.driver.value : null }
}

function ownBytes(details: DeviceDetails | undefined): Uint8Array | null {
  if (details?.configHex.known !== true) return null
  const text = details.configHex.value
  if (text.length < 2 * WHOLE_BYTES) return null
  const bytes = Uint8Array.from({ length: text.length / 2 }, (_, n) =>
    parseInt(text.slice(2 * n, 2 * n + 2), 16),
  )
  // A device that does not answer reads all ones: facts are better than that.
  return bytes[0] === 0xff && bytes[1] === 0xff ? null : bytes
}

function madeBytes(fn: PciFunction, mates: boolean, assumed: string[]): Uint8Array {
  const value = <T>(fact: Fact<T>, otherwise: T, what: string): T => {
    if (fact.known) return fact.value
    assumed.push(what)
    return otherwise
  }
  const identity = {
    vendor: value(fn.vendor, 0xfffe, 'vendor: none known'),
    device: value(fn.device, 0, 'device id: 0000'),
    classCode: value(fn.classCode, 0xff0000, 'class: unassigned'),
    revision: fn.revision.known ? fn.revision.value : 0,
    subsystem: fn.subsystem.known ? fn.subsystem.value : null,
  }
  // A slot with several functions must have the bit, or the kernel would not find them.
  const { multifunction } = fn.config
  const config =
    multifunction.known || !mates ? fn.config : { ...fn.config, multifunction: known(true) }
  const made = encodeConfig(identity, config)
  assumed.push(...made.assumed)
  enableChipset(made.bytes, identity)
  return made.bytes
}

const INTEL = 0x8086
const ISA_BRIDGE = 0x0601
const ROOT_COMPLEX_BASE = 0xf0

/** Firmware always sets up the chipset registers through which Linux closes the peer path of old PCHs. */
function enableChipset(bytes: Uint8Array, of: { vendor: number; classCode: number }): void {
  if (of.vendor !== INTEL || of.classCode >>> 8 !== ISA_BRIDGE) return
  new DataView(bytes.buffer).setUint32(ROOT_COMPLEX_BASE, 0xfed1c001, true)
}

/** What the running kernel enabled and a booting one enables again: virtual functions. */
function powerOn(bytes: Uint8Array): Uint8Array {
  const image = bytes.slice()
  const sriov = extendedCapabilityOffset(image, EXTENDED_CAPABILITY.sriov)
  if (sriov !== null && sriov + 0x12 <= image.length) {
    const view = new DataView(image.buffer)
    view.setUint16(sriov + 0x08, view.getUint16(sriov + 0x08, true) & ~0x0009, true)
    view.setUint16(sriov + 0x10, 0, true)
  }
  return image
}

/** BARs by their type bits: an address that was never assigned reads zero and is left out. */
function barsOf(bytes: Uint8Array): FunctionDescription['bars'] {
  const count = [6, 2, 0][(bytes[0x0e] ?? 0) & 0x7f] ?? 0
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const bars: FunctionDescription['bars'][number][] = []
  for (let index = 0; index < count; index++) {
    const value = view.getUint32(0x10 + 4 * index, true)
    if (value === 0) continue
    if ((value & 1) === 1) {
      bars.push({ index, size: IO_BYTES, kind: 'io', prefetchable: false })
      continue
    }
    const wide = (value & 0x6) === 0x4
    const prefetchable = (value & 0x8) !== 0
    bars.push({ index, size: BAR_BYTES, kind: wide ? 'mem64' : 'mem32', prefetchable })
    if (wide) index += 1
  }
  return bars
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => hex(byte, 2)).join('')
}
