/** What `claims` says of a claim that no longer fits its group. */
import { describe, expect, it } from 'vitest'
import { crashWorld, requestFor, start } from './crash-world.case.ts'

const DEVICE = '0000:02:01.0'
const REQUEST = requestFor([DEVICE], { allow: ['CLAIM-ROUTE', 'CLAIM-LINK'] })

describe('a claim', () => {
  it('is broken when somebody else got its node, and whole again when it is back', async () => {
    const world = await crashWorld()
    const { isolator } = start(world)
    await isolator.claim(REQUEST)
    const view = (): unknown => isolator.claims()[0]
    expect(view()).toMatchObject({ protection: 'watched', changes: [] })
    const group = isolator.claims()[0]?.groups[0]?.group ?? ''
    const node = `/dev/vfio/${group}`
    await world.kernel.setMode(node, 0o666)
    expect(view()).toMatchObject({
      protection: 'broken',
      changes: [`${node} is of 1000:1000 with mode 666, not of 1000:1000 with mode 600`],
    })
    await world.kernel.setMode(node, 0o600)
    expect(view()).toMatchObject({ protection: 'watched', changes: [] })
  })
})
