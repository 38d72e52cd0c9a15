/** Who uses a member now: programs with its files open, and virtual functions made of it. */
import type { DeviceUsage, Program } from '../live-host.ts'
import { notKnown, type SafetyFinding, safetyFinding } from './safety-finding.ts'

/**
 * Files that come and go with the device while programs have them open: input, USB, raw HID. Taking others away
 * (sound, graphics, disks) can wait for the program: snd_card_free, drm and block drivers do.
 */
const PLUGGABLE = /^\/dev\/(?:input\/|hidraw|bus\/usb\/|usb)/

export function programFindings({ address, programs }: DeviceUsage): readonly SafetyFinding[] {
  if (!programs.known) {
    const what = `whether programs have files of ${address} open is unknown`
    return [notKnown('CLAIM-UNKNOWN-PROGRAMS', what, programs.why, [address])]
  }
  const kinds = [
    { verdict: 'refuse', open: programs.value.filter(({ file }) => !PLUGGABLE.test(file)) },
    { verdict: 'warn', open: programs.value.filter(({ file }) => PLUGGABLE.test(file)) },
  ] as const
  return kinds.flatMap(({ verdict, open }) =>
    open.length === 0
      ? []
      : [
          safetyFinding('CLAIM-OPEN', verdict, {
            fact: `${address}: ${programNames(open)} ${ofWhat(open)} open`,
            evidence: open.slice(0, EVIDENCE_MAX).map(programLine),
            remedy: verdict === 'warn' ? 'none: they will see it unplugged' : ending(open),
            about: [address],
          }),
        ],
  )
}

const EVIDENCE_MAX = 10

function ofWhat(programs: readonly Program[]): string {
  const files = [...new Set(programs.map(({ file }) => file))]
  const verb = new Set(programs.map(({ pid }) => pid)).size === 1 ? 'has' : 'have'
  return `${verb} ${files.slice(0, 3).join(', ')}${files.length > 3 ? ' and more' : ''}`
}

function ending(programs: readonly Program[]): string {
  const pids = [...new Set(programs.map(({ pid }) => String(pid)))]
  return `end ${pids.length === 1 ? 'process' : 'processes'} ${pids.slice(0, 10).join(' ')}`
}

/** "qemu-system-x86 (812)" */
export function programNames(programs: readonly Program[]): string {
  const names = new Map(programs.map(({ pid, name }) => [pid, `${name} (${String(pid)})`]))
  const shown = [...names.values()].slice(0, 4).join(', ')
  return names.size > 4 ? `${shown} and ${String(names.size - 4)} more` : shown
}

/** "/dev/vfio/13: qemu-system-x86, process 812 of user 1000" */
export function programLine({ pid, name, uid, file }: Program): string {
  return `${file}: ${name}, process ${String(pid)} of user ${String(uid)}`
}

/** VFIO refuses a physical function while its virtual functions are on (vfio_pci_core.c, EBUSY). */
export function virtualFunctionFindings(usage: DeviceUsage): readonly SafetyFinding[] {
  const { address, virtualFunctions } = usage
  if (!virtualFunctions.known) {
    const what = `whether ${address} has virtual functions switched on is unknown`
    return [notKnown('CLAIM-UNKNOWN-VFS', what, virtualFunctions.why, [address])]
  }
  const count = virtualFunctions.value.length
  if (count === 0) return []
  const shown = virtualFunctions.value.slice(0, 4).join(', ')
  return [
    safetyFinding('CLAIM-VFS', 'refuse', {
      fact: `${address} has ${String(count)} virtual ${count === 1 ? 'function' : 'functions'} switched on`,
      evidence: [
        `/sys/bus/pci/devices/${address}/sriov_numvfs: ${String(count)} (${shown}${count > 4 ? ', ...' : ''})`,
      ],
      remedy: `claim the virtual functions, or: echo 0 > /sys/bus/pci/devices/${address}/sriov_numvfs`,
      about: [address, ...virtualFunctions.value],
    }),
  ]
}
