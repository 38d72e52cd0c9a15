/**
 * Access Control Services as the kernel switches them on: pci_enable_acs of drivers/pci/pci.c, at every
 * function found and after every reset, if an IOMMU driver asked for isolation early enough.
 *
 *     quirk of the device (Intel chipsets) -> else SV|RR|CR|UF as far as implemented -> command line
 *
 * The command line has the last word, IOMMU or not: `pci=disable_acs_redir=` and, since 6.11,
 * `pci=config_acs=`.
 */
import { atLeast } from '../../base/kernel-version.ts'
import { acsQuirksOf, type AcsGrant, quirkNames } from '../../pci/acs-quirks.ts'
import { parseLooseAddress } from '../../pci/address.ts'
import { ACS, ACS_REQUIRED, EXTENDED_CAPABILITY, PCIE_TYPE } from '../../pci/config-facts.ts'
import type { PciDevice } from './pci-device.ts'
import { logDevice, type PciState } from './pci-state.ts'

export function enableAcs(state: PciState, device: PciDevice): void {
  if (state.options.requestsAcs === true && !specificEnable(state, device)) {
    setControl(device, (control, capability) => control | (capability & ACS_REQUIRED))
  }
  applyArguments(state, device)
}

function capabilityOf({ hardware }: PciDevice): number {
  return hardware.config.extendedCapability(EXTENDED_CAPABILITY.acs)
}

function setControl(
  device: PciDevice,
  change: (control: number, capability: number) => number,
): void {
  const offset = capabilityOf(device)
  if (offset === 0) return
  const { config } = device.hardware
  const control = config.read(offset + 6, 2)
  config.write(offset + 6, 2, change(control, config.read(offset + 4, 2)))
}

/** pci_dev_specific_enable_acs(). @returns whether a quirk was in charge, whatever came of it */
function specificEnable(state: PciState, device: PciDevice): boolean {
  if (isPort(device, 'intel-pch')) {
    enableChipset(state, device)
    return true
  }
  return isPort(device, 'intel-spt') && enableSunrisePoint(state, device)
}

function isPort(device: PciDevice, grant: AcsGrant): boolean {
  if (device.pcieType !== PCIE_TYPE.rootPort) return false
  return acsQuirksOf(device.vendor).some(
    (entry) => entry.grant === grant && quirkNames(entry, device.device),
  )
}

const LPC = 31 << 3
/** LPC bridge: root complex base address, bit 0 enables it. */
const RCBA = 0xf0
/** Root port: miscellaneous port configuration, and its bit "invalid receive bus number check". */
const MPC = 0xd8
const MPC_IRBNCE = 1 << 26

/**
 * pci_quirk_enable_intel_pch_acs(): chipset registers behind the LPC bridge's root complex base address
 * switch peer decode off. Where firmware left that address disabled nothing can be done.
 */
function enableChipset(state: PciState, device: PciDevice): void {
  const lpc = device.pciBus.hardware?.functions.get(LPC)
  if (((lpc?.config.read(RCBA, 4) ?? 0) & 1) === 0) {
    logDevice(state, device, 'Failed to enable Intel PCH ACS quirk')
    return
  }
  const { config } = device.hardware
  const mpc = config.read(MPC, 4)
  if ((mpc & MPC_IRBNCE) === 0) {
    logDevice(state, device, 'Enabling MPC IRBNCE')
    config.write(MPC, 4, mpc | MPC_IRBNCE)
  }
  device.acsEnabledByQuirk = true
  logDevice(state, device, 'Intel PCH root port ACS workaround enabled')
}

/** pci_quirk_enable_intel_spt_pch_acs(): the usual bits, in registers of double size. */
function enableSunrisePoint(state: PciState, device: PciDevice): boolean {
  const offset = capabilityOf(device)
  if (offset === 0) return false
  const { config } = device.hardware
  const capability = config.read(offset + 4, 4)
  config.write(offset + 8, 4, config.read(offset + 8, 4) | (capability & ACS_REQUIRED))
  logDevice(state, device, 'Intel SPT PCH root port ACS workaround enabled')
  return true
}

const REDIRECT = ACS.requestRedirect | ACS.completionRedirect | ACS.egressControl

function applyArguments(state: PciState, device: PciDevice): void {
  const { commandLine, version } = state.context
  // Nearly every machine, and this is asked for every function.
  if (!commandLine.includes('acs')) return
  for (const entry of entriesOf(commandLine, 'disable_acs_redir=')) {
    if (matches(entry, device)) disableRedirect(state, device)
  }
  if (!atLeast(version, 6, 11)) return
  for (const entry of entriesOf(commandLine, 'config_acs=')) {
    const [, flags = '', wanted = ''] = /^([01x]+)@(.+)$/.exec(entry) ?? []
    if (wanted === '' || !matches(wanted, device) || capabilityOf(device) === 0) continue
    setControl(device, (control) => applyFlags(control, flags))
    const control = device.hardware.config.read(capabilityOf(device) + 6, 2)
    logDevice(state, device, `Configured ACS to 0x${control.toString(16)}`)
  }
}

/** Entries of one option inside the `pci=` arguments, separated by semicolons. */
function entriesOf(commandLine: string, option: string): readonly string[] {
  const found: string[] = []
  for (const [, list = ''] of commandLine.matchAll(/(?:^|\s)pci=(\S+)/g)) {
    for (const part of list.split(',')) {
      if (part.startsWith(option)) found.push(...part.slice(option.length).split(';'))
    }
  }
  return found.filter((entry) => entry !== '')
}

/** pci_disable_acs_redir(); the quirked ports have a place of their own for these bits. */
function disableRedirect(state: PciState, device: PciDevice): void {
  const offset = capabilityOf(device)
  if (offset === 0) {
    const why = 'as it does not have ACS capabilities'
    logDevice(state, device, `cannot disable ACS redirect for this hardware ${why}`)
    return
  }
  if (isPort(device, 'intel-spt')) {
    const { config } = device.hardware
    config.write(offset + 8, 4, config.read(offset + 8, 4) & ~REDIRECT)
  } else setControl(device, (control) => control & ~REDIRECT)
  logDevice(state, device, 'disabled ACS redirect')
}

/** Flags are written most significant first: bits 6 to 0. */
function applyFlags(control: number, flags: string): number {
  let result = control
  for (let n = 0; n < flags.length; n++) {
    const bit = 1 << (flags.length - 1 - n)
    if (flags[n] === '1') result |= bit
    if (flags[n] === '0') result &= ~bit
  }
  return result
}

/**
 * pci_dev_str_match(): "pci:vendor:device[:subvendor:subdevice]" (0 or ffffffff = any), or a path
 * "[domain:]bus:device.function[/device.function]*" that begins at a bus number that does not change.
 */
function matches(wanted: string, device: PciDevice): boolean {
  const ids = /^pci:([0-9a-f]+):([0-9a-f]+)(?::([0-9a-f]+):([0-9a-f]+))?$/i.exec(wanted)
  if (ids !== null) {
    const own = [device.vendor, device.device, device.subsystemVendor, device.subsystemDevice]
    return own.every((id, n) => idMatches(ids[n + 1], id))
  }
  const steps = wanted.split('/')
  let at: PciDevice | null = device
  for (const step of steps.slice(1).reverse()) {
    const [, slot = '', fn = ''] = /^([0-9a-f]{1,2})\.([0-7])$/i.exec(step) ?? []
    if (at === null || at.devfn !== ((parseInt(slot, 16) << 3) | Number(fn))) return false
    at = at.pciBus.bridge
  }
  const start = parseLooseAddress(steps[0] ?? '')
  if (at === null || start === null) return false
  const { domain, bus, device: slot, function: fn } = at.at
  if (start.domain !== domain || start.bus !== bus) return false
  return start.device === slot && start.function === fn
}

function idMatches(text: string | undefined, id: number): boolean {
  if (text === undefined) return true
  const wanted = parseInt(text, 16)
  return wanted === 0 || wanted === 0xffffffff || wanted === id
}
