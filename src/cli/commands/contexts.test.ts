/** `contexts`: who shares what, as text and as JSON, and what it says when it cannot see. */
import * as v from 'valibot'
import { beforeEach, describe, expect, it } from 'vitest'
import { openContext } from '../../access/open-context.ts'
import type { Context } from '../../access/context.ts'
import { linuxLiveHost } from '../../linux/live-host.ts'
import { bootedMachine, CARD, CARD_MATE, USB } from '../../model/machine/booted-machine.case.ts'
import { giveToVfio, HandClock } from '../../model/machine/vfio-user.case.ts'
import { type ModelKernel, modelKernel } from '../../model/model-kernel.ts'
import type { Model } from '../../model/model.ts'
import { type Outcome, run } from '../host.case.ts'
import { SHAPES } from '../schemas/schema-files.ts'

let model: Model
let root: ModelKernel

beforeEach(async () => {
  model = bootedMachine()
  root = modelKernel(model, { clock: new HandClock() })
  for (const address of [CARD, CARD_MATE, USB]) await giveToVfio(root, address)
})

function contexts(words: readonly string[] = [], kernel = root): Promise<Outcome> {
  const openLive = () => Promise.resolve(linuxLiveHost(kernel, 'this host'))
  return run(['contexts', ...words, '--host', 'linux'], { openLive })
}

function program(): ModelKernel {
  return root.as(model.createProcess({ name: 'qemu', uid: 0 }))
}

async function shared(): Promise<Context> {
  const context = await openContext({ kernel: program() }, [CARD, USB])
  context.map(context.allocate(4 * 2 ** 20))
  return context
}

describe('contexts', () => {
  it('says that there are none', async () => {
    const { exit, stdout, stderr } = await contexts()
    expect([exit, stdout]).toEqual([0, ''])
    expect(stderr).toContain('no program uses a group through VFIO')
  })

  it('prints groups, members, locked memory and what sharing saves', async () => {
    await shared()
    const { stdout } = await contexts()
    expect(stdout).toMatch(/^qemu \(\d+\), user 0: groups \d+, \d+ share one context\n/)
    expect(stdout).toContain(`${CARD}, ${CARD_MATE}`)
    expect(stdout).toContain('  locked  4 MiB\n')
    expect(stdout).toContain('  saved   4 MiB of locked memory, up to 8 KiB of tables\n')
  })

  it('claims no saving for a group alone, and none for several contexts', async () => {
    const kernel = program()
    await openContext({ kernel }, [CARD])
    expect((await contexts()).stdout).toMatch(/: group \d+ alone\n[^]*locked {2}0 KiB\n$/)
    await openContext({ kernel }, [USB])
    const { stdout } = await contexts()
    expect(stdout).toMatch(/: groups \d+, \d+ in 2 contexts\n/)
    expect(stdout).not.toContain('saved')
  })

  it('has a schema, and null with a reason for what is not known', async () => {
    const kernel = program()
    await openContext({ kernel }, [CARD])
    await openContext({ kernel }, [USB])
    await shared().catch(() => undefined)
    const { stdout } = await contexts(['--json'])
    const value: unknown = JSON.parse(stdout)
    const shape = SHAPES['ContextList']
    if (shape === undefined) throw new Error('no schema')
    expect(v.safeParse(shape, value).issues).toBeUndefined()
    expect(value).toMatchObject({
      kind: 'ContextList',
      programs: [
        {
          contexts: 2,
          savedLockedBytes: null,
          unknown: { savedLockedBytes: 'which group is in which context is not told' },
        },
      ],
    })
  })

  it('takes root to see all programs: exit code 7 with the command', async () => {
    const ordinary = root.as(model.createProcess({ name: 'other', uid: 1000 }))
    const { exit, stderr } = await contexts([], ordinary)
    expect(exit).toBe(7)
    expect(stderr).toContain('needs root')
    expect(stderr).toContain('sudo isogroup contexts')
  })

  it('refuses records of hosts', async () => {
    const { exit, stderr } = await run(['contexts', '--host', 'file:x.isocap'])
    expect(exit).toBe(2)
    expect(stderr).toContain('no program runs on it')
  })
})
