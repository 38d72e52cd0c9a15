/** A device that its user does not give back: its unbind waits in the kernel, and nothing of ours may wait with it. */
import { describe, expect, it } from 'vitest'
import { openDevice } from '../model/machine/vfio-user.case.ts'
import { crashWorld, difference, requestFor, start, visibleState } from './crash-world.case.ts'

const HELD = '0000:02:01.0'
const MATE = '0000:02:02.0'
const ELSEWHERE = '0000:04:00.0'
const REQUEST = requestFor([HELD, ELSEWHERE], { allow: ['CLAIM-ROUTE', 'CLAIM-LINK'] })

describe('a device that does not come back', () => {
  it('is left alone, named with its holder, and given back when it can be', async () => {
    const world = await crashWorld()
    const before = visibleState(world)
    expect(await start(world).isolator.claim(REQUEST)).toMatchObject({ kind: 'done' })
    const { container, group, device } = await openDevice(world.kernel, HELD)
    const outcome = await start(world).isolator.release(HELD)
    expect(outcome).toMatchObject({ kind: 'incomplete', failure: { code: 'ETIMEDOUT' } })
    const [claim] = start(world).isolator.claims()
    expect(claim).toMatchObject({ state: 'incomplete', wedged: [{ address: HELD }] })
    expect(claim?.wedged[0]?.evidence.join('\n')).toMatch(/has \/dev\/vfio\/\d+ open/)
    const link = world.kernel.link(`/sys/bus/pci/devices/${ELSEWHERE}/driver`)
    expect(link.endsWith('/e1000e')).toBe(true)
    for (const target of [HELD, MATE]) {
      expect(() => start(world).isolator.plan(requestFor([target]))).toThrow('hangs in the kernel')
    }
    expect(start(world).isolator.plan(requestFor([ELSEWHERE])).verdict).toBe('refused')
    for (const handle of [device, group, container]) await handle.close()
    expect(await start(world).isolator.recover()).toMatchObject([{ did: 'undone', left: [] }])
    expect(difference(before, visibleState(world))).toEqual([])
  })
})
