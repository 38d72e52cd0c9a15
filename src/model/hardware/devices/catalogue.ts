/**
 * The parts bin: which kinds of functions there are, what their registers hold at power-on, and
 * which behaviour each gets.
 *
 * A template is what a machine description says about a function apart from its place. Where QEMU
 * 7.2 has the device, the registers are QEMU's, byte for byte, so that a machine built here and one
 * built with `-device` answer alike. Functions of a real host come as descriptions too (kind
 * "generic", or a behaviour where their ids have one) with their captured registers.
 */
import { fromHex, toHex } from '../../../base/hex-bytes.ts'
import { EXTENDED_CAPABILITY } from '../../../pci/config-facts.ts'
import type { FunctionDescription } from '../../machine/description.ts'
import { type ConfigSpace, configSpace } from '../config-space.ts'
import type { Bar, HardwareFunction } from '../function.ts'
import { type RegisterLayout, registerLayout } from '../register-layout.ts'
import type { DeviceModel } from './device-model.ts'
import { EduFunction } from './edu.ts'
import { GenericFunction } from './generic.ts'
import type { Cabling } from './nic/cabling.ts'
import { Nic } from './nic/nic.ts'
import { BlockStore } from './nvme/block-store.ts'
import { NvmeController } from './nvme/controller.ts'
import { OTHER_ENDPOINTS } from './other-endpoints.ts'
import { QEMU_ENDPOINTS } from './qemu-endpoints.ts'
import { QEMU_PORTS } from './qemu-ports.ts'
import { type MakeVirtual, VirtualFunctions } from './virtual-functions.ts'

/** What a description says of a function apart from its place. */
export type DeviceTemplate = Omit<FunctionDescription, 'at' | 'parent'>

export interface TemplateOptions {
  /** Sets bit 7 of the header type: the device has several functions. */
  readonly multifunction?: boolean
}

const MODELS: ReadonlyMap<string, DeviceModel> = new Map(
  [...QEMU_ENDPOINTS, ...OTHER_ENDPOINTS, ...QEMU_PORTS].map((model) => [model.name, model]),
)

/** Base address registers of virtual functions have these indexes, as in sysfs' `resource` file. */
const FIRST_VIRTUAL_BAR = 7

/** Names that deviceTemplate knows. */
export function deviceKinds(): readonly string[] {
  return [...MODELS.keys()]
}

/** "edu: QEMU's teaching device ..." for help texts, one line a kind. */
export function deviceKindTexts(): readonly { readonly name: string; readonly text: string }[] {
  return [...MODELS.values()].map(({ name, text }) => ({ name, text }))
}

/** By name, with and without bit 7: a large machine has thousands of the same. */
const TEMPLATES = new Map<string, DeviceTemplate>()

/** @returns undefined when there is no kind of the name */
export function deviceTemplate(
  kind: string,
  options: TemplateOptions = {},
): DeviceTemplate | undefined {
  const model = MODELS.get(kind)
  if (model === undefined) return undefined
  const key = `${kind} ${String(options.multifunction === true)}`
  const template = TEMPLATES.get(key) ?? templateOf(model, options)
  TEMPLATES.set(key, template)
  return template
}

function templateOf(model: DeviceModel, options: TemplateOptions): DeviceTemplate {
  const config = model.config()
  if (options.multifunction === true) config[0x0e] = (config[0x0e] ?? 0) | 0x80
  const virtualBars = (model.virtualBars ?? []).map((bar) => ({
    ...bar,
    index: FIRST_VIRTUAL_BAR + bar.index,
  }))
  return { kind: model.behaviour, config: toHex(config), bars: [...model.bars, ...virtualBars] }
}

/**
 * The hardware of a described function. Bars with indexes from 7 on are those of its virtual
 * functions.
 *
 * @param cabling connects the network functions of one slot; without it their frames are lost
 */
export function createFunction(
  description: FunctionDescription,
  cabling?: Cabling,
): HardwareFunction {
  const { bytes, bars, virtualBars, layout } = registersOf(description)
  const config = configSpace(bytes, bars, virtualBars, layout)
  const parts = { config, bars, virtualBars, description }
  switch (description.kind) {
    case 'edu':
      return withVirtual(new EduFunction(config, bars), parts, genericVirtual)
    case 'nic':
      return networkFunction(parts, cabling)
    case 'nvme':
      return nvmeFunction(parts)
    default:
      return withVirtual(new GenericFunction(description.kind, config, bars), parts, genericVirtual)
  }
}

/** What equal functions share. */
interface Registers {
  /** Of the description: a function with other bars has other registers. */
  readonly described: readonly Bar[]
  /** To be copied before anything changes. */
  readonly bytes: Uint8Array
  readonly bars: readonly Bar[]
  readonly virtualBars: readonly Bar[]
  readonly layout: RegisterLayout
}

/** Machines repeat devices, and are booted again and again: the last few are kept, by their hexadecimal text. */
const KNOWN = new Map<string, Registers>()
const KNOWN_MAX = 64

function registersOf({ config, bars: described }: FunctionDescription): Registers {
  const known = KNOWN.get(config)
  if (known?.described === described) return known
  const bytes = known?.bytes ?? fromHex(config)
  const bars = described.filter(({ index }) => index < FIRST_VIRTUAL_BAR)
  const virtualBars = described
    .filter(({ index }) => index >= FIRST_VIRTUAL_BAR)
    .map((bar) => ({ ...bar, index: bar.index - FIRST_VIRTUAL_BAR }))
  const layout = registerLayout(bytes, bars, virtualBars)
  if (KNOWN.size === KNOWN_MAX) KNOWN.clear()
  const made = { described, bytes, bars, virtualBars, layout }
  KNOWN.set(config, made)
  return made
}

interface Parts {
  readonly config: ConfigSpace
  readonly bars: readonly Bar[]
  readonly virtualBars: readonly Bar[]
  readonly description: FunctionDescription
}

/** Gives the function its virtual ones, if its registers say that it has any. */
function withVirtual(
  fn: HardwareFunction,
  parts: Parts,
  make: (parts: Parts) => MakeVirtual,
): HardwareFunction {
  if (parts.config.extendedCapability(EXTENDED_CAPABILITY.sriov) === 0) return fn
  const virtual = new VirtualFunctions(parts.config, make(parts), parts.description.virtualVectors)
  parts.config.onReset(() => {
    virtual.reset()
  })
  fn.virtualFunction = (index) => virtual.at(index)
  return fn
}

function genericVirtual({ virtualBars, description }: Parts): MakeVirtual {
  return (config) => new GenericFunction(description.kind, config, virtualBars)
}

function nvmeFunction(parts: Parts): HardwareFunction {
  const { config, bars, virtualBars, description } = parts
  const store = new BlockStore()
  const serial = `model-${description.at}`
  const controller = new NvmeController({ config, bars, store, serial, controllerId: 0 })
  return withVirtual(controller, parts, () => (own, index) => {
    const controllerId = index + 1
    return new NvmeController({ config: own, bars: virtualBars, store, serial, controllerId })
  })
}

/**
 * MAC addresses 52:54:00:BUS:DEVFN:INDEX: locally administered, and different on one machine's
 * buses.
 */
function networkFunction(parts: Parts, cabling: Cabling | undefined): HardwareFunction {
  const { config, bars, virtualBars, description } = parts
  const [, bus = '0', slot = '0', fn = '0'] = description.at.split(/[:.]/)
  const devfn = parseInt(slot, 16) * 8 + parseInt(fn, 16)
  const address = (index: number): Uint8Array =>
    Uint8Array.of(0x52, 0x54, 0x00, parseInt(bus, 16), devfn, index)
  const plugged = (nic: Nic): Nic => {
    if (cabling !== undefined) {
      nic.plugInto(cabling.plug(description.at.slice(0, description.at.lastIndexOf('.')), nic))
    }
    return nic
  }
  return withVirtual(plugged(new Nic(config, bars, address(0))), parts, () => (own, index) => {
    return plugged(new Nic(own, virtualBars, address(index + 1)))
  })
}
