/**
 * `start`, behind `npm start`: a first look. This host's groups; where it has none, the reason, and a
 * built-in machine to look around in.
 */
import { IsogroupError } from '../../base/errors.ts'
import { doctor } from '../../isolation/assess/doctor.ts'
import type { Host, HostSnapshot } from '../../isolation/host.ts'
import type { Invocation } from '../invocation.ts'
import { type Screen, hanging } from '../screen.ts'
import { listGroups } from './ls.ts'

/** A laptop with what people ask about: a graphics card that shares its group with the port above it. */
const EXAMPLE = 'model:hp-spectre-15-df1'
const EXAMPLE_PAIR = '01:00.0 00:01.0'

export async function run(invocation: Invocation): Promise<void> {
  const found = await firstLook(invocation)
  if (found.why !== null) {
    const reason = `This host has no isolation groups: ${found.why}.`
    const instead = `Below: ${found.snapshot.source}, built in (${EXAMPLE}).`
    invocation.err.print([
      ...hanging('', reason, invocation.err.width),
      ...hanging('', instead, invocation.err.width),
      '',
    ])
  }
  listGroups(invocation, found.snapshot)
  invocation.err.print(nextSteps(found, invocation.err))
}

interface FirstLook {
  readonly snapshot: HostSnapshot
  /** Why the snapshot is not of the host that was asked for; null when it is. */
  readonly why: string | null
}

async function firstLook(invocation: Invocation): Promise<FirstLook> {
  const { source, kernel } = invocation
  let why: string
  try {
    const host = await invocation.open(source)
    const snapshot = host.snapshot()
    if (snapshot.groups.known && snapshot.groups.value.length > 0) return { snapshot, why: null }
    why = reasonFor(host, snapshot, kernel)
  } catch (error) {
    // A machine without a PCI bus, such as a container, is no reason to show nothing.
    if (!(error instanceof IsogroupError) || error.code !== 'no-source') throw error
    why = error.message
  }
  const example = await invocation.open(EXAMPLE)
  return { snapshot: example.snapshot(), why }
}

/** The first problem that doctor finds is the nearest cause: it looks in the order in which a person would. */
function reasonFor(host: Host, snapshot: HostSnapshot, kernel: Invocation['kernel']): string {
  if (!snapshot.groups.known) return snapshot.groups.why
  const { findings } = doctor(snapshot, host.readiness(), { kernel })
  const problem = findings.find(({ severity }) => severity === 'problem')
  return problem?.fact ?? 'the kernel made none'
}

function nextSteps({ snapshot, why }: FirstLook, screen: Screen): readonly string[] {
  const host = why === null ? '' : `--host ${EXAMPLE} `
  const device = why === null ? exampleDevice(snapshot) : EXAMPLE_PAIR
  const steps: readonly (readonly [command: string, purpose: string])[] = [
    [`isogroup ${host}explain ${device}`, 'why devices are together, what would separate them'],
    [`isogroup ${host}tree`, 'where they sit'],
    ['isogroup doctor', 'is this host ready to hand devices out?'],
    ['isogroup capture host.isocap', 'record this host for a bug report'],
  ]
  return [
    '',
    screen.paint('bold', 'next'),
    ...steps.flatMap(([command, purpose]) => [
      `  ${command}`,
      screen.paint('dim', `      ${purpose}`),
    ]),
    '',
    'From the clone, isogroup is `node dist/cli/main.js`; `npm link` puts it on the path.',
  ]
}

/** A device that shares its group, since that is what people wonder about. */
function exampleDevice({ groups, functions }: HostSnapshot): string {
  const shared = groups.known ? groups.value.find(({ members }) => members.length > 1) : undefined
  return shared?.members.at(-1) ?? functions[0]?.address ?? '00:00.0'
}
