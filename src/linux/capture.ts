/**
 * Captures a host: every answer that any command could ask of its kernel, so that replay runs the
 * same code on the same answers and prints the same.
 *
 * What identifies the machine or its owner is left out unless asked for: device serial numbers in
 * config space, MAC addresses (also inside names such as enx0011aabbccdd), and the parts of the command
 * line that carry addresses, names or serial numbers. The host name is in none of the files read.
 */
import type { KernelView } from '../kernel/kernel.ts'
import {
  decodeBytes,
  encodeBytes,
  type RecordedBytes,
  type RecordedFailure,
  type Recording,
} from '../kernel/recording.ts'
import { traced } from '../kernel/traced.ts'
import { extendedCapabilityOffset } from '../pci/config-decode.ts'
import { EXTENDED_CAPABILITY } from '../pci/config-facts.ts'
import { PCI_IDS_PATHS, prunePciIds } from '../pci/pci-ids.ts'
import { linuxHost } from './linux-host.ts'

export const CAPTURE_FORMAT = 'isogroup-capture'
export const CAPTURE_VERSION = 1

export interface CaptureDocument {
  readonly format: typeof CAPTURE_FORMAT
  readonly version: typeof CAPTURE_VERSION
  /** What was captured, as the commands call it. */
  readonly source: string
  /** Whether serial numbers and addresses were kept. */
  readonly identifiers: boolean
  readonly recording: Recording
}

/**
 * Reads everything of the host behind the kernel port. Takes a few seconds on 10,000 functions.
 * @param identifiers keep serial numbers and MAC addresses
 * @param fallbackNames as linuxHost was given it: names that were printed are to be printed in replay
 * @throws IsogroupError when there is no PCI bus to read
 */
export function captureHost(
  kernel: KernelView,
  source: string,
  identifiers: boolean,
  fallbackNames: () => string = () => '',
): CaptureDocument {
  const { kernel: recorder, recording } = traced(kernel)
  const host = linuxHost(recorder, source, fallbackNames)
  const snapshot = host.snapshot()
  // Serializing touches every member, also those that are read on first use.
  JSON.stringify(snapshot)
  host.details(snapshot.functions.map((fn) => fn.address))
  host.readiness()
  keepNames(recording, fallbackNames)
  pruneNames(recording, new Set(snapshot.functions.flatMap((fn) => wantedIds(fn))))
  pruneModules(recording)
  return {
    format: CAPTURE_FORMAT,
    version: CAPTURE_VERSION,
    source,
    identifiers,
    recording: identifiers ? recording : withoutIdentifiers(recording),
  }
}

function wantedIds(fn: {
  vendor: { known: boolean; value?: number }
  device: { known: boolean; value?: number }
}): number[] {
  const { vendor, device } = fn
  if (vendor.value === undefined || device.value === undefined) return []
  return [vendor.value * 0x10000 + device.value]
}

/** A host without names of its own was shown with the fallback's: they go where its own would be. */
function keepNames(recording: Recording, fallbackNames: () => string): void {
  if (PCI_IDS_PATHS.some((path) => typeof recording.text[path] === 'string')) return
  const text = fallbackNames()
  if (text === '') return
  const [path] = PCI_IDS_PATHS
  recording.exists[path] = true
  recording.text[path] = text
}

/** Only the lines of pci.ids that name this host's devices. */
function pruneNames(recording: Recording, ids: ReadonlySet<number>): void {
  for (const path of PCI_IDS_PATHS) {
    const text = recording.text[path]
    if (typeof text === 'string') recording.text[path] = prunePciIds(text, ids)
  }
}

/** Of the module lists only what readiness looks for. */
function pruneModules(recording: Recording): void {
  for (const [path, text] of Object.entries(recording.text)) {
    if (!path.startsWith('/lib/modules/') || typeof text !== 'string') continue
    const lines = text.split('\n').filter((line) => line.includes('/vfio-pci.ko'))
    recording.text[path] = lines.map((line) => line.split(':')[0] ?? '').join('\n')
  }
}

const SERIAL_OFFSET = 4
const SERIAL_BYTES = 8

function withoutIdentifiers(recording: Recording): Recording {
  const bytes: Record<string, RecordedBytes | RecordedFailure> = {}
  for (const [path, recorded] of Object.entries(recording.bytes)) {
    bytes[path] = 'hex' in recorded ? withoutSerial(recorded) : recorded
  }
  const text = { ...recording.text }
  for (const [path, mask] of MASKED_TEXTS) {
    const recorded = text[path]
    if (typeof recorded === 'string') text[path] = mask(recorded)
  }
  return JSON.parse(maskAddresses(JSON.stringify({ ...recording, bytes, text }))) as Recording
}

function withoutSerial(recorded: RecordedBytes): RecordedBytes {
  const bytes = decodeBytes(recorded)
  const offset = extendedCapabilityOffset(bytes, EXTENDED_CAPABILITY.serialNumber)
  if (offset === null) return recorded
  bytes.fill(0, offset + SERIAL_OFFSET, offset + SERIAL_OFFSET + SERIAL_BYTES)
  return encodeBytes(bytes)
}

/** Arguments that say nothing about isolation and may say who and where the machine is. */
const PRIVATE_ARGUMENT =
  /(^|\s)([^\s=]*(?:hostname|serial|uuid|mac|bootif|password|token|secret|key)[^\s=]*|ip|nfsroot|root|resume|cryptdevice|rd\.\S+?|ifname|nameserver|vlan|bond|netroot|iscsi\S*?)=(?:"[^"]*"|\S*)/gi

export function maskCommandLine(text: string): string {
  return text.replace(PRIVATE_ARGUMENT, '$1$2=***')
}

/**
 * Single-board computers and mainframes print a serial number of the machine here:
 * "Serial : 00000000a1b2c3d4" (arch/arm), "identification = 018F67" (arch/s390).
 */
export function maskProcessors(text: string): string {
  return text
    .replace(/^(Serial\s*:\s*).*$/gim, '$1***')
    .replace(/(\bidentification = )\w+/g, '$1***')
}

const MASKED_TEXTS: readonly (readonly [path: string, mask: (text: string) => string])[] = [
  ['/proc/cmdline', maskCommandLine],
  ['/proc/cpuinfo', maskProcessors],
]

/** MAC addresses stand alone or inside interface names; each name keeps a number of its own. */
function maskAddresses(json: string): string {
  const names = new Map<string, string>()
  return json
    .replace(
      /\b((?:en|wl|ww|ib|sl|roce)x|usb|eth|wlan)([0-9a-f]{12})\b/gi,
      (whole, prefix: string) => {
        const known = names.get(whole)
        if (known !== undefined) return known
        const masked = `${prefix}${String(names.size + 1).padStart(12, '0')}`
        names.set(whole, masked)
        return masked
      },
    )
    .replace(/\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b/gi, '00:00:00:00:00:00')
}
