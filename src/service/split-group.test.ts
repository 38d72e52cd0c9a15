/** A device that was plugged in again can be in a group of its own: multifunction devices without ACS on Linux. */
import { describe, expect, it } from 'vitest'
import type { FileStatus } from '../kernel/kernel.ts'
import { type CrashWorld, crashWorld, requestFor, start } from './crash-world.case.ts'
import type { GuardEvent } from './guard-event.ts'

const DEVICE = '0000:02:01.0'
const OTHER = '0000:02:02.0'
const REQUEST = requestFor([DEVICE], { allow: ['CLAIM-ROUTE', 'CLAIM-LINK'] })
const GROUP = '77'
const NODE = `/dev/vfio/${GROUP}`
const GROUPS = '/sys/kernel/iommu_groups'

/** The same machine with one device in a group of its own, whose node is root's. */
function split(world: CrashWorld): CrashWorld {
  const { kernel } = world
  const node = { uid: 0, gid: 0, mode: 0o600 }
  const isOwn = (path: string): boolean => path === `/sys/bus/pci/devices/${OTHER}/iommu_group`
  return {
    ...world,
    kernel: {
      ...kernel,
      link: (path) => (isOwn(path) ? `../../kernel/iommu_groups/${GROUP}` : kernel.link(path)),
      list(path) {
        if (path === `${GROUPS}/${GROUP}/devices`) return [OTHER]
        const names = kernel.list(path)
        return path.startsWith(GROUPS) ? names.filter((name) => name !== OTHER) : names
      },
      stat: (path): FileStatus =>
        path === NODE ? { ...kernel.stat('/dev/vfio/vfio'), ...node } : kernel.stat(path),
      async setOwner(path, uid, gid) {
        if (path === NODE) Object.assign(node, { uid, gid })
        else await kernel.setOwner(path, uid, gid)
      },
      async setMode(path, mode) {
        if (path === NODE) Object.assign(node, { mode })
        else await kernel.setMode(path, mode)
      },
    },
  }
}

describe('a claimed group that has become several', () => {
  it('is kept whole in each: the owner gets the new node too', async () => {
    const world = await crashWorld()
    await start(world).isolator.claim(REQUEST)
    const { isolator } = start(split(world))
    expect(isolator.claims()).toMatchObject([
      {
        protection: 'broken',
        changes: [expect.stringContaining('several'), expect.stringContaining(`${NODE} is of 0:0`)],
      },
    ])
    const events: GuardEvent[] = []
    await isolator.guardOnce((event) => void events.push(event))
    expect(events.map((event) => ('step' in event ? event.step : event.kind))).toContain(
      `give ${NODE} to 1000:1000 with mode 600`,
    )
    expect(isolator.claims()).toMatchObject([
      { protection: 'watched', changes: [expect.stringContaining('several')] },
    ])
  })
})
