/**
 * Events that user space asks for by writing to a `uevent` file: "add", or "change" with a UUID and
 * further pairs, which the event carries (kobject_synth_uevent, lib/kobject_uevent.c;
 * Documentation/ABI/testing/sysfs-uevent). udev does it at boot, for all that was there before it.
 *
 *     change fe4d7c9d-b8c6-4a70-9ef1-3d8a58d18eed A=1 B=abc
 *       -> SYNTH_UUID=fe4d7c9d-... SYNTH_ARG_A=1 SYNTH_ARG_B=abc
 */
import { Errno } from '../errno.ts'
import { writtenText } from '../sysfs/written-text.ts'
import { UEVENT_ACTIONS, type UeventAction } from './uevents.ts'

export interface SyntheticEvent {
  readonly action: UeventAction
  /** SYNTH_UUID, then SYNTH_ARG_ pairs. */
  readonly variables: readonly (readonly [key: string, value: string])[]
}

const UUID_LENGTH = 36
const ARGUMENTS = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}(?: [\da-z]+=[\da-z]+)*$/i

/**
 * @throws Errno EINVAL: no action of that name, or arguments that are not a UUID and pairs of letters and
 *   digits. Its message is what the kernel writes into the log.
 */
export function parseSyntheticEvent(bytes: Uint8Array): SyntheticEvent {
  const last = bytes.at(-1)
  const text = writtenText(last === 0x0a || last === 0 ? bytes.subarray(0, -1) : bytes)
  const space = text.indexOf(' ')
  const word = space < 0 ? text : text.slice(0, space)
  const action = UEVENT_ACTIONS.find((known) => known === word)
  if (action === undefined) throw new BadEvent('unknown uevent action string')
  if (space < 0) return { action, variables: [['SYNTH_UUID', '0']] }
  const rest = text.slice(space + 1)
  if (!ARGUMENTS.test(rest)) throw new BadEvent('incorrect uevent action arguments')
  const pairs = rest.slice(UUID_LENGTH + 1).split(' ')
  return {
    action,
    variables: [
      ['SYNTH_UUID', rest.slice(0, UUID_LENGTH)],
      ...pairs
        .filter((pair) => pair !== '')
        .map((pair): readonly [string, string] => {
          const [key = '', value = ''] = pair.split('=')
          return [`SYNTH_ARG_${key}`, value]
        }),
    ],
  }
}

/** EINVAL with the words of the kernel. */
export class BadEvent extends Errno {
  readonly problem: string

  constructor(problem: string) {
    super('EINVAL', problem)
    this.problem = problem
  }
}
