/**
 * /sys/kernel/iommu_groups: a directory for each group (drivers/iommu/iommu.c).
 *
 *     9/devices/0000:01:00.0 -> ../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0
 *       reserved_regions     addresses that users of the group cannot have
 *       type                 of the default domain; can be written
 *       name                 only where the IOMMU driver gave one
 *
 * Who owns a group is written nowhere.
 */
import { type Directory, directory, type File, relativeLink, textFile } from '../sysfs/node.ts'
import type { DefaultDomains } from './default-domain.ts'
import type { IommuGroup } from './group.ts'
import { showType, storeType } from './group-type.ts'
import { formatRegions } from './reserved-regions.ts'
import type { ReservedRegion } from './unit.ts'

/** What the files show; IommuCore. */
interface Groups extends DefaultDomains {
  readonly groups: ReadonlyMap<number, IommuGroup>
  reservedRegions(group: IommuGroup): readonly ReservedRegion[]
}

export function groupsDirectory(core: Groups): Directory {
  return {
    kind: 'directory',
    list: () => [...core.groups.keys()].map(String),
    find: (name) => {
      const group = core.groups.get(Number(name))
      return group !== undefined && String(group.id) === name
        ? groupDirectory(core, group)
        : undefined
    },
  }
}

function groupDirectory(core: Groups, group: IommuGroup): Directory {
  const { name } = group
  return directory({
    devices: () => membersDirectory(group),
    reserved_regions: () => textFile(() => formatRegions(core.reservedRegions(group))),
    type: () => typeFile(core, group),
    ...(name !== null && { name: () => textFile(() => `${name}\n`) }),
  })
}

function membersDirectory(group: IommuGroup): Directory {
  const path = `/kernel/iommu_groups/${String(group.id)}/devices`
  return {
    kind: 'directory',
    list: () => group.members.map(({ name }) => name),
    find: (name) => {
      const member = group.memberNamed(name)
      return member && relativeLink(path, member.device.path)
    },
  }
}

function typeFile(core: Groups, group: IommuGroup): File {
  return {
    kind: 'file',
    mode: 0o644,
    read: () => showType(group),
    write: (bytes, who) => storeType(core, group, bytes, who),
  }
}
