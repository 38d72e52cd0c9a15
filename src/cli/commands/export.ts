/** `export FORMAT TARGET...`: what to paste into other programs to use a group. Writes no file. */
import { IsogroupError } from '../../base/errors.ts'
import { type AssessedGroup, type Assessment, assess } from '../../isolation/assess/assess.ts'
import { driverRole } from '../../isolation/assess/driver-roles.ts'
import { rulesFor } from '../../isolation/groups/rules.ts'
import type { Host, HostSnapshot } from '../../isolation/host.ts'
import type { LiveHost } from '../../isolation/live-host.ts'
import { fateOf } from '../../isolation/plan/member.ts'
import { buildTopology } from '../../isolation/topology/topology.ts'
import type { ExportedGroup, ExportedText } from '../../service/export/exported-group.ts'
import { groupTargets } from '../group-target.ts'
import type { CommandOptions, Invocation } from '../invocation.ts'
import { printable } from '../option-values.ts'
import { printJson } from '../print-json.ts'
import { hanging } from '../screen.ts'
import { isLive, type LiveParts, openParts } from '../live-parts.ts'

/** Formats by name: what a user of the group needs now, and what the host needs at its next boot. */
const FORMATS = ['qemu', 'libvirt', 'cdi', 'udev', 'modprobe'] as const
type Format = (typeof FORMATS)[number]

/** What boot-time persistence is made with when the group is on no VFIO driver yet. */
const DRIVER = 'vfio-pci'

export async function run(
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const [format, ...targets] = args
  if (!isFormat(format)) throw unknownFormat(format ?? '')
  const { host, homeDriver, live } = await openForExport(invocation, options)
  const snapshot = host.snapshot()
  const assessment = assess(
    snapshot,
    buildTopology(snapshot),
    rulesFor(snapshot, invocation.kernel),
  )
  const found = groupsOf(groupTargets(targets, host, snapshot), assessment)
  const groups = found.map((group) => exportedGroup(group, homeDriver))
  const { text, path, notes } = await exported(format, groups, snapshot, live)
  const all = [...notes, ...found.flatMap(notClaimedNote)]
  if (invocation.json) {
    const ids = groups.map(({ group }) => group)
    printJson(invocation.out, 'Export', {
      host: snapshot.source,
      format,
      groups: ids,
      text,
      path,
      notes: all,
    })
    return
  }
  const { out, err } = invocation
  out.print(text.trimEnd().split('\n'))
  if (path !== null) err.print([`for ${path}: isogroup writes no system file itself`])
  err.print(all.flatMap((note) => hanging('note: ', note, err.width)))
}

interface Opened {
  readonly host: Host
  /** null: the source can be looked at, but is no host that runs. */
  readonly live: LiveHost | null
  /** The driver that a claimed function had before; null when it is not claimed or had none. */
  readonly homeDriver: (address: string) => string | null
}

async function openForExport(invocation: Invocation, options: CommandOptions): Promise<Opened> {
  if (!isLive(invocation.source)) {
    const host = await invocation.open(invocation.source)
    return { host, live: null, homeDriver: () => null }
  }
  const parts: LiveParts = await openParts(invocation, options)
  const before = new Map(
    parts.isolator
      .claims()
      .flatMap(({ devices }) => devices.map((it) => [it.address, it.driver] as const)),
  )
  return {
    host: parts.host,
    live: parts.host,
    homeDriver: (address) => before.get(address) ?? null,
  }
}

function isFormat(text: string | undefined): text is Format {
  return FORMATS.some((format) => format === text)
}

function unknownFormat(text: string): IsogroupError {
  return new IsogroupError(
    'usage',
    `${printable(text)} is no format to export`,
    `formats are ${FORMATS.join(', ')}: isogroup export qemu 01:00.0`,
  )
}

function groupsOf(
  targets: readonly (readonly string[])[],
  { groups }: Assessment,
): readonly AssessedGroup[] {
  const found = new Set<AssessedGroup>()
  for (const [address = ''] of targets) {
    const group = groups.find((one) => one.group.members.includes(address))
    if (group === undefined) {
      throw new IsogroupError(
        'refused',
        `${address} is in no group, so no user can have it`,
        'isogroup doctor says what to switch on',
      )
    }
    found.add(group)
  }
  return [...found]
}

function exportedGroup(
  { id, members }: AssessedGroup,
  homeDriver: (address: string) => string | null,
): ExportedGroup {
  const given = members.filter((node) => fateOf(node, DRIVER) !== 'stays')
  if (given.length === 0) {
    throw new IsogroupError(
      'refused',
      `group ${id} has nothing that could be given to a user`,
      'name a device behind the bridge: isogroup tree',
    )
  }
  const bound = given.flatMap(({ fn }) =>
    fn.driver.known && fn.driver.value !== null ? [fn.driver.value] : [],
  )
  return {
    group: id,
    driver: bound.find((driver) => driverRole(driver) === 'user') ?? DRIVER,
    devices: given.map(({ fn }) => {
      const now = fn.driver.known ? fn.driver.value : null
      const isHome = now !== null && driverRole(now) !== 'user'
      return { fn, homeDriver: isHome ? now : homeDriver(fn.address) }
    }),
  }
}

function notClaimedNote({ id, members }: AssessedGroup): readonly string[] {
  const waiting = members.filter((node) => fateOf(node, DRIVER) === 'move')
  const first = waiting.find(
    ({ fn }) =>
      !fn.driver.known || fn.driver.value === null || driverRole(fn.driver.value) !== 'user',
  )
  if (first === undefined) return []
  return [`group ${id} is not on a VFIO driver yet: isogroup claim ${first.address}`]
}

async function exported(
  format: Format,
  groups: readonly ExportedGroup[],
  snapshot: HostSnapshot,
  live: LiveHost | null,
): Promise<ExportedText> {
  switch (format) {
    case 'qemu':
      return (await import('../../service/export/qemu.ts')).qemuText(groups)
    case 'libvirt':
      return (await import('../../service/export/libvirt.ts')).libvirtText(groups)
    case 'cdi':
      return (await import('../../service/export/cdi.ts')).cdiText(groups)
    case 'udev': {
      const notes = await checkedPersistence(groups, live)
      const { udevText } = await import('../../service/export/udev.ts')
      return withNotes(udevText(groups, snapshot), notes)
    }
    case 'modprobe': {
      const notes = await checkedPersistence(groups, live)
      const { modprobeText } = await import('../../service/export/modprobe.ts')
      return withNotes(modprobeText(groups, snapshot), notes)
    }
  }
}

/** @throws IsogroupError refused when the host needs a device in order to come up, or nobody can tell */
async function checkedPersistence(
  groups: readonly ExportedGroup[],
  live: LiveHost | null,
): Promise<readonly string[]> {
  if (live === null) {
    throw new IsogroupError(
      'refused',
      'whether the host boots from these devices cannot be seen from here',
      'run it on the host itself, as root',
    )
  }
  const { checkPersistence, persistenceNotes } = await import('../../service/export/persistence.ts')
  const addresses = groups.flatMap(({ devices }) => devices.map(({ fn }) => fn.address))
  const usage = live.usage(addresses, live.programs())
  checkPersistence(usage)
  return persistenceNotes(usage)
}

function withNotes(text: ExportedText, notes: readonly string[]): ExportedText {
  return { ...text, notes: [...text.notes, ...notes] }
}
