/**
 * A conversation about claims: commands are given in the guest, each must end as told, and what must not
 * have changed is compared with the state at the beginning. What is wrong is collected, not thrown.
 */
import type { CaseWorld, LabFinding } from '../cases/case.ts'
import { checkEnd } from '../cases/checks.ts'
import { text } from '../cases/inspect.ts'
import type { Guest, StepResult } from '../guest.ts'
import { compareStates, driverIn, readState } from './state.ts'

export type Conversation = {
  readonly guest: Guest
  readonly findings: LabFinding[]
  /**
   * Runs `isogroup WORDS`; it must end with the code.
   * @param says what must be in its output, on either stream
   */
  readonly isogroup: (
    words: string,
    code: number,
    options?: { readonly says?: readonly string[]; readonly as?: 'root' | 'user' },
  ) => Promise<StepResult>
  /** The state must be what it was when the conversation began. */
  readonly expectSame: (when: string) => Promise<void>
  /** These functions must be on that driver; undefined = on none. */
  readonly expectDrivers: (
    when: string,
    wanted: Readonly<Record<string, string | undefined>>,
  ) => Promise<void>
  readonly expect: (check: string, holds: boolean, detail: string) => void
  /** Runs a script that prepares something; it must succeed. */
  readonly prepare: (script: string) => Promise<string>
}

export async function startConversation(world: CaseWorld): Promise<Conversation> {
  const { guest, keepEvidence } = world
  const findings: LabFinding[] = []
  const before = await readState(guest)
  keepEvidence('state.txt', before)
  let count = 0
  const expect = (check: string, holds: boolean, detail: string): void => {
    if (!holds) findings.push({ check, detail })
  }
  return {
    guest,
    findings,
    expect,
    async isogroup(words, code, { says = [], as = 'root' } = {}) {
      const result = await guest.run({ run: `isogroup ${words}`, as })
      count += 1
      const said = `$ isogroup ${words}\n${text(result)}${result.stderr}(${result.code}, ${result.milliseconds} ms)\n`
      keepEvidence(`${String(count).padStart(2, '0')}.txt`, said)
      findings.push(...checkEnd(words, result, [code]))
      for (const word of says) expect(`${words} says ${word}`, said.includes(word), said)
      return result
    },
    async expectSame(when) {
      findings.push(...compareStates(`state ${when}`, before, await readState(guest)))
    },
    async expectDrivers(when, wanted) {
      const state = await readState(guest)
      for (const [address, driver] of Object.entries(wanted)) {
        const found = driverIn(state, address)
        const detail = `${found ?? 'none'} instead of ${driver ?? 'none'}`
        expect(`driver of ${address} ${when}`, found === driver, detail)
      }
    },
    async prepare(script) {
      const result = await guest.run({ run: script })
      if (result.code === 0) return text(result).trim()
      throw new Error(`cannot prepare: ${script}\n${text(result)}${result.stderr}`)
    },
  }
}

/** The same driver for several functions. */
export function allOn(
  addresses: readonly string[],
  driver: string | undefined,
): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(addresses.map((address) => [address, driver]))
}

/** Drivers loaded, virtual functions made, and modprobe where the kernel and others look for it. */
export const settleScript: string = `
mkdir -p /sbin
ln -sf /bin/busybox /sbin/modprobe
modprobe -a e1000 e1000e xhci-pci nvme virtio-rng ahci i2c-i801 lpc_ich virtio_pci 2>/dev/null
modprobe -a vfio-pci vfio_iommu_type1
sleep 1
echo 2 >/sys/bus/pci/devices/0000:05:00.0/sriov_numvfs
sleep 1
`
