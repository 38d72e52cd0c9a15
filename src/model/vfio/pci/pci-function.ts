/**
 * A PCI function in user hands: struct vfio_pci_core_device (drivers/vfio/pci/vfio_pci_core.c). The first
 * open gives the user a freshly reset device that cannot do DMA until he says so; the last close takes
 * everything back, resets it again, and lets it sleep.
 */
import { atLeast } from '../../../base/kernel-version.ts'
import type { KernelContext } from '../../context.ts'
import { Errno } from '../../errno.ts'
import type { IommuUnit } from '../../iommu/unit.ts'
import { restoreState, saveState } from '../../pci/config-state.ts'
import type { PciDevice, SavedRegisters } from '../../pci/pci-device.ts'
import type { PciState } from '../../pci/pci-state.ts'
import {
  clearMaster,
  disableDevice,
  enableDevice,
  enablePin,
  setPowerState,
} from '../../pci/power.ts'
import { tryResetFunction } from '../../pci/reset.ts'
import type { IoctlArgument, MappedWindow, Process } from '../../process.ts'
import { capabilityChain, capabilityData, placeChain } from '../capability-chain.ts'
import type { InterruptVectors } from '../interrupt-vectors.ts'
import type { VfioParameters } from '../module-parameters.ts'
import { sizedBuffer } from '../user-buffer.ts'
import { IRQ, REGION, REQUEST } from '../vfio-abi.ts'
import type { FeatureRequest, VfioDevice, VfioOperations } from '../vfio-device.ts'
import { enableAtomics } from './atomic-operations.ts'
import { assignedBars, BarRegions } from './bar-regions.ts'
import { resetAndRestore, resetBusIfIdle } from './close-reset.ts'
import { deviceFeature } from './device-features.ts'
import { EventWrites } from './event-writes.ts'
import { hotReset, hotResetInfo } from './hot-reset.ts'
import { InterruptSettings } from './interrupt-settings.ts'
import { LowPower } from './low-power.ts'
import { masksPinItself } from './pin-interrupt.ts'
import { parseRequest, type TokenRole, validateToken, type VfToken } from './vf-token.ts'
import { VirtualConfig } from './virtual-config.ts'

const INFO_BYTES = 16
const FULL_INFO_BYTES = 24
const INFO_RESET = 1
const INFO_PCI = 2
const INFO_CAPABILITIES = 0x80
/** VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP */
const ATOMICS = 5
/** A device that gives itself work for ever has to stop somewhere. */
const WORK_STEPS_MAX = 65_536
const POWER_STATES = ['D0', 'D1', 'D2', 'D3hot'] as const

/** What all functions of the driver share. */
export interface VfioPciShared {
  readonly context: KernelContext
  readonly pci: PciState
  readonly parameters: VfioParameters
  readonly vectors: InterruptVectors
  /** Functions that have the driver. */
  readonly functions: Map<PciDevice, VfioPciFunction>
  readonly unitOf: (device: PciDevice) => IommuUnit | undefined
}

/** What there is while the function is open. */
interface OpenState {
  readonly config: VirtualConfig
  readonly regions: BarRegions
  readonly interrupts: InterruptSettings
  readonly events: EventWrites
  readonly saved: SavedRegisters | null
}

export class VfioPciFunction implements VfioOperations {
  readonly device: PciDevice
  readonly power: LowPower
  /** Of a physical function. */
  readonly token: VfToken | null
  /** VFIO's view of it, once it is registered. */
  registered: VfioDevice | null = null
  /** The last user left, and the reset that should follow has not been possible yet. */
  needsReset = false
  readonly #shared: VfioPciShared
  #open: OpenState | null = null
  #resetWorks = false

  constructor(shared: VfioPciShared, device: PciDevice) {
    this.#shared = shared
    this.device = device
    this.token = device.sriov === null ? null : { uuid: null, users: 0 }
    this.power = new LowPower(device, {
      maskPin: () => this.#open?.interrupts.pin?.mask() ?? false,
      unmaskPin: () => this.#open?.interrupts.pin?.unmask(),
    })
  }

  get isOpen(): boolean {
    return this.#open !== null
  }

  match(name: string): boolean {
    const request = parseRequest(this.device.name, name)
    if (request === null) return false
    validateToken(this.#tokenRole(), request.token, (text) => {
      this.#log(text)
    })
    return true
  }

  /** vfio_pci_core_enable() @throws Errno EAGAIN when somebody holds the lock of the device */
  open(): void {
    const { device } = this
    const { pci, parameters } = this.#shared
    if (parameters.idleD3) this.power.hold()
    clearMaster(device)
    enableDevice(device)
    try {
      tryResetFunction(pci, device)
      this.#resetWorks = true
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      if (error.code === 'EAGAIN') {
        disableDevice(device)
        if (parameters.idleD3) this.power.letGo()
        throw error
      }
      this.#resetWorks = false
    }
    saveState(device)
    this.#open = this.#openState(device.saved)
    this.#countUser(1)
  }

  /** vfio_pci_core_close_device() */
  close(): void {
    const open = this.#open
    if (open === null) return
    this.#countUser(-1)
    const { device } = this
    this.power.exit()
    this.power.hold()
    this.power.letGo()
    setPowerState(device, 'D0')
    clearMaster(device)
    open.interrupts.disable()
    open.events.clear()
    this.#open = null
    const { pci, functions } = this.#shared
    this.needsReset = !resetAndRestore(pci, device, this.#resetWorks, open.saved)
    disableDevice(device)
    resetBusIfIdle(pci, device, functions)
    if (this.#shared.parameters.idleD3) this.power.letGo()
  }

  request(count: number): void {
    const trigger = this.#open?.interrupts.requestTrigger ?? null
    if (trigger !== null) {
      if (count % 10 === 0) this.#log(`Relaying device request to user (#${String(count)})`)
      trigger.signal()
    } else if (count === 0) {
      this.#log('No device request channel registered, blocked until released by user')
    }
  }

  wake(): void {
    this.power.hold()
  }

  rest(): void {
    this.power.letGo()
  }

  ioctl(request: number, argument: IoctlArgument, process: Process): number {
    const { interrupts, regions, events } = this.#opened()
    const { pci, functions } = this.#shared
    switch (request) {
      case REQUEST.deviceGetInfo:
        this.#info(argument)
        return 0
      case REQUEST.deviceGetRegionInfo:
        regions.info(argument)
        return 0
      case REQUEST.deviceGetIrqInfo:
        interrupts.info(argument)
        return 0
      case REQUEST.deviceSetIrqs:
        return interrupts.set(argument, process)
      case REQUEST.deviceReset:
        this.#reset()
        return 0
      case REQUEST.deviceGetHotResetInfo:
        hotResetInfo(this.device, argument)
        return 0
      case REQUEST.deviceHotReset: {
        const members = new Map(
          [...functions].map(([device, { registered }]) => [
            device,
            { group: registered?.group ?? null },
          ]),
        )
        hotReset(pci, this.device, members, argument, process)
        return 0
      }
      case REQUEST.deviceIoeventfd:
        events.set(argument, process)
        return 0
      default:
        throw new Errno('ENOTTY')
    }
  }

  feature(request: FeatureRequest, process: Process): void {
    deviceFeature(this, request, process)
  }

  read(offset: number, length: number): Uint8Array {
    return this.#awake(() => this.#opened().regions.read(offset, length))
  }

  write(offset: number, bytes: Uint8Array): number {
    return this.#awake(() => this.#opened().regions.write(offset, bytes))
  }

  work(): void {
    const { hardware } = this.device
    for (let step = 0; hardware.busy && step < WORK_STEPS_MAX; step++) hardware.advance()
  }

  map(offset: number, length: number): MappedWindow {
    return this.#opened().regions.map(offset, length)
  }

  #awake<T>(body: () => T): T {
    this.power.hold()
    try {
      return body()
    } finally {
      this.power.letGo()
    }
  }

  #opened(): OpenState {
    if (this.#open === null) throw new Errno('ENODEV', `${this.device.name} is not open`)
    return this.#open
  }

  #openState(saved: SavedRegisters | null): OpenState {
    const { device } = this
    const { context, vectors, parameters, unitOf } = this.#shared
    const { config } = device.hardware
    const masks = parameters.masksIntx && masksPinItself(device)
    if (masks) enablePin(device, true)
    const virtual = new VirtualConfig({
      version: context.version,
      config,
      vendor: device.vendor,
      device: device.device,
      isVirtual: device.isVirtual,
      hasPin: !device.isVirtual && config.read(0x3d, 1) !== 0,
      bars: [...assignedBars(device).values()],
      effects: this.#effects(),
    })
    const regions = new BarRegions(context, device, virtual)
    return {
      config: virtual,
      regions,
      interrupts: new InterruptSettings({
        context,
        device,
        unit: unitOf(device),
        vectors,
        hasPin: () => virtual.hasPin,
        masksPinItself: masks,
        pinDisabled: () => virtual.intxDisabled,
      }),
      events: new EventWrites(device, regions),
      saved,
    }
  }

  #effects(): ConstructorParameters<typeof VirtualConfig>[0]['effects'] {
    const settings = (): InterruptSettings | undefined => this.#open?.interrupts
    return {
      setIntxDisabled: (disabled) => {
        const pin = settings()?.pin ?? null
        if (pin === null) enablePin(this.device, !disabled)
        else if (disabled) pin.mask()
        else pin.unmask()
      },
      setPowerState: (number) => {
        this.#setPowerState(POWER_STATES[number])
      },
      reset: () => {
        this.#tryReset()
      },
      log: (text) => {
        this.#log(text)
      },
      get messages() {
        return settings()?.messages ?? { enabled: false, maximum: 0 }
      },
    }
  }

  /** vfio_pci_set_power_state(): what D3hot forgets is kept, where waking up is a reset. */
  #setPowerState(state: (typeof POWER_STATES)[number]): void {
    const { device } = this
    const forgets = losesRegisters(device)
    const before = device.powerState
    if (forgets && before !== 'D3hot' && state === 'D3hot') saveState(device)
    try {
      setPowerState(device, state)
    } catch (error) {
      // A state that the device does not have; the user sees it in the register.
      if (!(error instanceof Errno)) throw error
      return
    }
    if (forgets && before === 'D3hot' && state === 'D0') restoreState(this.#shared.pci, device)
  }

  #info(argument: IoctlArgument): void {
    const { version } = this.#shared.context
    const buffer = sizedBuffer(argument, INFO_BYTES)
    const argsz = buffer.u32(0)
    const atomics = atLeast(version, 6, 5) ? enableAtomics(this.device) : 0
    let offset = 0
    if (atomics !== 0) {
      const data = capabilityData(atomics, 0)
      const chain = capabilityChain(version, [{ id: ATOMICS, version: 1, data }], FULL_INFO_BYTES)
      offset = placeChain(buffer, chain, FULL_INFO_BYTES)
    }
    const flags = (this.#resetWorks ? INFO_RESET : 0) | (atomics === 0 ? 0 : INFO_CAPABILITIES)
    buffer.setU32(4, INFO_PCI | flags)
    buffer.setU32(8, REGION.count)
    buffer.setU32(12, IRQ.count)
    if (argsz >= 20) buffer.setU32(16, offset)
    // Padding became part of the structure with 6.6.
    if (argsz >= FULL_INFO_BYTES && atLeast(version, 6, 6)) buffer.setU32(20, 0)
  }

  #reset(): void {
    if (!this.#resetWorks) throw new Errno('EINVAL', 'no reset method')
    this.#setPowerState('D0')
    tryResetFunction(this.#shared.pci, this.device)
  }

  #tryReset(): void {
    try {
      tryResetFunction(this.#shared.pci, this.device)
    } catch (error) {
      if (!(error instanceof Errno)) throw error
    }
  }

  /** The physical function, if it has the driver and made its virtual ones while it had it. */
  #physical(): VfioPciFunction | null {
    const { physicalFunction } = this.device
    return physicalFunction === null ? null : (this.#shared.functions.get(physicalFunction) ?? null)
  }

  /** While a virtual function is open, whoever opens the physical one must know the token. */
  #countUser(change: 1 | -1): void {
    const token = this.#physical()?.token ?? null
    if (token !== null) token.users += change
  }

  #tokenRole(): TokenRole {
    if (this.device.isVirtual) {
      return { kind: 'virtual', physical: this.#physical()?.token ?? null }
    }
    return this.token === null ? { kind: 'neither' } : { kind: 'physical', own: this.token }
  }

  #log(text: string): void {
    this.#shared.context.log.push(`vfio-pci ${this.device.name}: ${text}`)
  }
}

/** The device's own registers are lost in D3hot (vfio_pci_probe_power_state). */
function losesRegisters({ hardware: { config } }: PciDevice): boolean {
  const at = config.capability(0x01)
  return at !== 0 && (config.read(at + 4, 2) & 0x8) === 0
}
