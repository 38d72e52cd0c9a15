import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeUtf8 } from '../base/utf8.ts'
import { type Action, ActionError } from '../isolation/transaction/action.ts'
import { faulty } from '../kernel/faulty.ts'
import { bootedMachine, CARD, CARD_MATE } from '../model/machine/booted-machine.case.ts'
import { HandClock } from '../model/machine/vfio-user.case.ts'
import { modelKernel } from '../model/model-kernel.ts'
import { perform, writesOf } from './actions.ts'
import { readGroupState } from './group-state.ts'

const DEADLINE = 1000
const ACTIONS: readonly Action[] = [
  { kind: 'set-override', address: CARD, driver: 'vfio-pci' },
  { kind: 'set-override', address: CARD_MATE, driver: 'vfio-pci' },
  { kind: 'unbind', address: CARD, driver: 'e1000e' },
  { kind: 'unbind', address: CARD_MATE, driver: 'e1000e' },
  { kind: 'probe', address: CARD, driver: 'vfio-pci' },
  { kind: 'probe', address: CARD_MATE, driver: 'vfio-pci' },
]

function machine() {
  return faulty(modelKernel(bootedMachine(), { clock: new HandClock() }))
}

describe('perform()', () => {
  it('makes exactly the writes that writesOf() tells', async () => {
    const kernel = machine()
    for (const action of ACTIONS) await perform(kernel, action, DEADLINE)
    const { group } = readGroupState(kernel, [CARD])
    const node: Action = { kind: 'set-node', group: group ?? '', uid: 7, gid: 8, mode: 0o640 }
    await perform(kernel, node, DEADLINE)
    const told = [...ACTIONS, node].flatMap((action) => writesOf(action))
    expect(kernel.changes.map(({ path }) => path)).toEqual(told.map(({ path }) => path))
    const texts = kernel.changes.map(({ action, bytes }) =>
      bytes === null ? action : decodeUtf8(bytes),
    )
    expect(texts).toEqual([
      'vfio-pci\n',
      'vfio-pci\n',
      `${CARD}\n`,
      `${CARD_MATE}\n`,
      `${CARD}\n`,
      `${CARD_MATE}\n`,
      'chown',
      'chmod',
    ])
    expect(told.slice(-2).map(({ text }) => text)).toEqual(['chown 7:8', 'chmod 640'])
    expect(readGroupState(kernel, [CARD, CARD_MATE])).toMatchObject({
      devices: [
        { driver: 'vfio-pci', override: 'vfio-pci' },
        { driver: 'vfio-pci', override: 'vfio-pci' },
      ],
      node: { uid: 7, gid: 8, mode: 0o640 },
    })
  })

  it('clears an override, which a write of nothing would not', async () => {
    const kernel = machine()
    await perform(kernel, { kind: 'set-override', address: CARD, driver: 'none' }, DEADLINE)
    expect(readGroupState(kernel, [CARD]).devices[0]?.override).toBe('none')
    await perform(kernel, { kind: 'set-override', address: CARD, driver: null }, DEADLINE)
    expect(readGroupState(kernel, [CARD]).devices[0]?.override).toBeNull()
  })

  it('says which action failed with which errno', async () => {
    const wrong: Action = { kind: 'unbind', address: CARD, driver: 'nvme' }
    const failed: unknown = await perform(machine(), wrong, DEADLINE).catch(
      (cause: unknown) => cause,
    )
    expect(failed).toBeInstanceOf(ActionError)
    expect(failed).toMatchObject({ code: 'ENODEV', action: wrong })
    const node: Action = { kind: 'set-node', group: '99', uid: 0, gid: 0, mode: 0o600 }
    await expect(perform(machine(), node, DEADLINE)).rejects.toMatchObject({ code: 'ENOENT' })
    const autoprobe: Action = { kind: 'set-autoprobe', address: CARD, on: false }
    await expect(perform(machine(), autoprobe, DEADLINE)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('passes on what is no answer of the kernel', async () => {
    const kernel = machine()
    kernel.kill()
    await expect(
      perform(kernel, { kind: 'set-override', address: CARD, driver: null }, DEADLINE),
    ).rejects.toMatchObject({ name: 'Killed' })
  })
})

describe('writesOf()', () => {
  it('switches probing of virtual functions by a digit', () => {
    const texts = [true, false].map((on) => writesOf({ kind: 'set-autoprobe', address: CARD, on }))
    expect(texts).toEqual(
      ['1\n', '0\n'].map((text) => [
        { path: `/sys/bus/pci/devices/${CARD}/sriov_drivers_autoprobe`, text },
      ]),
    )
  })

  it('makes no path of what is no address, driver, group or number', () => {
    const node = { kind: 'set-node', group: '1', uid: 0, gid: 0, mode: 0o600 } as const
    const bad: readonly Action[] = [
      { kind: 'set-override', address: '../../../etc', driver: 'x' },
      { kind: 'set-override', address: '01:00.0', driver: 'x' },
      { kind: 'set-override', address: CARD, driver: '' },
      { kind: 'set-override', address: CARD, driver: 'a\nb' },
      { kind: 'set-override', address: CARD, driver: 'a\0b' },
      { kind: 'set-override', address: CARD, driver: 'x'.repeat(4095) },
      { kind: 'unbind', address: CARD, driver: '../vfio-pci' },
      { kind: 'unbind', address: CARD, driver: '..' },
      { kind: 'unbind', address: CARD, driver: '' },
      { kind: 'probe', address: `${CARD}\n0000:00:00.0`, driver: 'nvme' },
      { kind: 'set-autoprobe', address: '', on: true },
      { ...node, group: '../sda' },
      { ...node, group: 'vfio' },
      { ...node, group: '' },
      { ...node, uid: -1 },
      { ...node, uid: 0xffff_ffff },
      { ...node, gid: 1.5 },
      { ...node, mode: 0o10000 },
      { ...node, mode: Number.NaN },
    ]
    for (const action of bad) {
      expect(() => writesOf(action)).toThrow(expect.objectContaining({ code: 'EINVAL' }) as Error)
    }
    expect(
      writesOf({ kind: 'set-override', address: CARD, driver: 'x'.repeat(4094) }),
    ).toHaveLength(1)
  })

  it('keeps every path below its directory, whatever a driver is called', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (driver, group) => {
        const actions: readonly Action[] = [
          { kind: 'unbind', address: CARD, driver },
          { kind: 'set-node', group, uid: 0, gid: 0, mode: 0 },
        ]
        for (const action of actions) {
          try {
            for (const { path } of writesOf(action)) {
              expect(path).toMatch(
                /^\/sys\/bus\/pci\/drivers\/[^/\n\0]+\/unbind$|^\/dev\/vfio\/\d+$/,
              )
              expect(path).not.toMatch(/\/\.\.?\//)
            }
          } catch (cause) {
            if (!(cause instanceof ActionError)) throw cause
          }
        }
      }),
    )
  })
})
