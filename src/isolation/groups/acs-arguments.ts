/**
 * The two kernel arguments that change ACS control bits, `pci=disable_acs_redir=` and
 * `pci=config_acs=` (since 6.11), as drivers/pci/pci.c reads them.
 *
 *     pci=disable_acs_redir=0000:00:1c.0;pci:8086:a110
 *     pci=config_acs=xx111x1@0000:00:1c.0;000000x@pci:10b5:8747
 *
 * Flags are written most significant first: bits 6 to 0 of the control register.
 */
import { type KernelVersion, atLeast } from '../../base/kernel-version.ts'
import { ACS } from '../../pci/config-facts.ts'
import { formatAddress, parseLooseAddress } from '../../pci/address.ts'

export interface AcsArguments {
  readonly disableRedirect: readonly string[]
  readonly configure: readonly { readonly flags: string; readonly device: string }[]
}

/** What a device must show to be matched by an argument. */
export interface ArgumentTarget {
  readonly address: string
  readonly vendor: number | null
  readonly device: number | null
}

const REDIRECT = ACS.requestRedirect | ACS.completionRedirect | ACS.egressControl

export function parseAcsArguments(commandLine: string): AcsArguments {
  const disableRedirect: string[] = []
  const configure: { flags: string; device: string }[] = []
  for (const match of commandLine.matchAll(/(?:^|\s)pci=(\S+)/g)) {
    for (const option of (match[1] ?? '').split(',')) {
      if (option.startsWith('disable_acs_redir=')) {
        disableRedirect.push(...entries(option.slice('disable_acs_redir='.length)))
      } else if (option.startsWith('config_acs=')) {
        for (const entry of entries(option.slice('config_acs='.length))) {
          const parts = /^([01x]{1,7})@(.+)$/.exec(entry)
          if (parts !== null) configure.push({ flags: parts[1] ?? '', device: parts[2] ?? '' })
        }
      }
    }
  }
  return { disableRedirect, configure }
}

function entries(text: string): string[] {
  return text.split(';').filter((entry) => entry !== '')
}

/** The control register after the arguments, given the value after the kernel's own enable step. */
export function applyAcsArguments(
  control: number,
  target: ArgumentTarget,
  args: AcsArguments,
  kernel: KernelVersion,
): number {
  let result = control
  if (args.disableRedirect.some((device) => matches(device, target))) result &= ~REDIRECT
  if (atLeast(kernel, 6, 11)) {
    for (const entry of args.configure) {
      if (matches(entry.device, target)) result = applyFlags(result, entry.flags)
    }
  }
  return result
}

function applyFlags(control: number, flags: string): number {
  let result = control
  for (let i = 0; i < flags.length; i++) {
    const bit = 1 << (flags.length - 1 - i)
    if (flags[i] === '1') result |= bit
    if (flags[i] === '0') result &= ~bit
  }
  return result
}

/** `[domain:]bus:device.function` or `pci:vendor:device[:subvendor:subdevice]`; ffffffff matches any id. */
function matches(wanted: string, target: ArgumentTarget): boolean {
  const ids = /^pci:([0-9a-f]+):([0-9a-f]+)/i.exec(wanted)
  if (ids !== null) {
    return idMatches(ids[1] ?? '', target.vendor) && idMatches(ids[2] ?? '', target.device)
  }
  const address = parseLooseAddress(wanted)
  return address !== null && formatAddress(address) === target.address
}

function idMatches(text: string, id: number | null): boolean {
  const wanted = parseInt(text, 16)
  return wanted === 0 || wanted === 0xffffffff || wanted === id
}
