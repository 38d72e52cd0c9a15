/**
 * A specification for container runtimes (Container Device Interface 0.6, SPEC.md): one device for each
 * group, which brings the group's node and the VFIO control node into a container.
 *
 *     podman run --device isogroup/vfio=group-0000-01-00.0 ...
 *
 * The device is named after the group's first member, since numbers of groups change. The node in it
 * does have the number: the file is good until the next boot.
 */
import type { ExportedGroup, ExportedText } from './exported-group.ts'

const CDI_VERSION = '0.6.0'
const CDI_KIND = 'isogroup/vfio'

export function cdiText(groups: readonly ExportedGroup[]): ExportedText {
  const spec = {
    cdiVersion: CDI_VERSION,
    kind: CDI_KIND,
    devices: groups.map((group) => ({
      name: deviceName(group),
      annotations: { 'isogroup/members': memberList(group) },
      containerEdits: { deviceNodes: [{ path: `/dev/vfio/${group.group}`, permissions: 'rw' }] },
    })),
    containerEdits: { deviceNodes: [{ path: '/dev/vfio/vfio', permissions: 'rw' }] },
  }
  const names = groups.map((group) => `${CDI_KIND}=${deviceName(group)}`)
  return {
    text: `${JSON.stringify(spec, null, 2)}\n`,
    path: '/etc/cdi/isogroup-vfio.json',
    notes: [
      `with it, podman run --device ${names.join(' --device ')} gives a container the group`,
      'the numbers of nodes change at boot: make the file anew after each one',
      'the container needs a memlock limit for the memory that it maps: --ulimit memlock=-1',
    ],
  }
}

/** Letters, digits, "-", "_", "." and ":" are allowed; colons would need quoting in many places. */
function deviceName({ devices }: ExportedGroup): string {
  return `group-${devices[0]?.fn.address.replaceAll(':', '-') ?? ''}`
}

function memberList({ devices }: ExportedGroup): string {
  return devices.map(({ fn }) => fn.address).join(',')
}
