import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { known, unknown } from '../../base/fact.ts'
import { encodeUtf8 } from '../../base/utf8.ts'
import { KernelError } from '../../kernel/kernel.ts'
import { bootedMachine, CARD, CARD_MATE } from '../../model/machine/booted-machine.case.ts'
import { giveToVfio, groupOf, HandClock } from '../../model/machine/vfio-user.case.ts'
import { type ModelKernel, modelKernel } from '../../model/model-kernel.ts'
import { OWNERSHIP, type Ownership, type OwnershipEvent, ownershipOf } from './ownership.ts'
import { protectionOf, weakest } from './protection.ts'

const PCI = '/sys/bus/pci'
const SET_CONTAINER = 0x3b68

/** The group of a card: one function on vfio-pci, so that it has a node, the other one comes and goes. */
async function sharedGroup(): Promise<(event: OwnershipEvent) => Promise<string>> {
  const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
  await giveToVfio(kernel, CARD)
  const home = kernel.link(`${PCI}/devices/${CARD_MATE}/driver`).split('/').at(-1) ?? ''
  const write = (file: string): Promise<void> =>
    kernel.write(`${PCI}/drivers/${home}/${file}`, encodeUtf8(CARD_MATE), 1000)
  let close: (() => Promise<void>) | null = null
  const act: Record<OwnershipEvent, () => Promise<void>> = {
    bind: () => write('bind'),
    unbind: () => write('unbind'),
    'last-unbind': () => write('unbind'),
    open: async () => {
      close = await openGroup(kernel)
    },
    close: async () => {
      await close?.()
      close = null
    },
  }
  return async (event) => {
    try {
      await act[event]()
      return 'done'
    } catch (cause) {
      if (cause instanceof KernelError) return cause.code
      throw cause
    }
  }
}

/** @returns closes it @throws KernelError */
async function openGroup(kernel: ModelKernel): Promise<() => Promise<void>> {
  const container = await kernel.open('/dev/vfio/vfio')
  const group = await kernel.open(`/dev/vfio/${groupOf(kernel, CARD)}`)
  const argument = new Uint8Array(4)
  new DataView(argument.buffer).setInt32(0, container.descriptor, true)
  try {
    group.ioctl(SET_CONTAINER, argument)
  } catch (cause) {
    await group.close()
    await container.close()
    throw cause
  }
  return async () => {
    await group.close()
    await container.close()
  }
}

describe('the table of ownership', () => {
  it('is what the kernel does, whatever happens in whatever order', async () => {
    const events = fc.array(
      fc.constantFrom<OwnershipEvent>('bind', 'last-unbind', 'open', 'close'),
      {
        maxLength: 12,
      },
    )
    await fc.assert(
      fc.asyncProperty(events, async (sequence) => {
        const happen = await sharedGroup()
        let state: Ownership = 'kernel'
        for (const event of sequence) {
          const next: Ownership | 'EBUSY' | 'EPERM' | null = OWNERSHIP[state][event]
          // One driver, which can come once, and leave once.
          if (next === null || (state === 'kernel' && event === 'bind')) continue
          const answer = await happen(event)
          if (next === 'EBUSY' || next === 'EPERM')
            expect([state, event, answer]).toEqual([state, event, next])
          else {
            expect([state, event, answer]).toEqual([state, event, 'done'])
            state = next
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('has no way from the kernel to a user, or back, but through a free group', () => {
    expect(Object.values(OWNERSHIP.kernel)).not.toContain('user')
    expect(Object.values(OWNERSHIP.user)).not.toContain('kernel')
  })
})

describe('ownershipOf()', () => {
  it.each([
    [['vfio-pci', null, 'pcieport'], false, 'free'],
    [['vfio-pci', 'nvme'], false, 'kernel'],
    [['vfio-pci'], true, 'user'],
    [[], false, 'free'],
  ] as const)('of %j, in use: %s, is %s', (drivers, inUse, expected) => {
    expect(
      ownershipOf(
        drivers.map((driver) => known(driver)),
        inUse,
      ),
    ).toBe(expected)
  })

  it('takes a driver that is unknown for one of the kernel', () => {
    expect(ownershipOf([unknown('EACCES')], false)).toBe('kernel')
  })
})

describe('protectionOf()', () => {
  const user = { pid: 1, name: 'qemu', uid: 1000, file: '/dev/vfio/1' }

  it.each([
    ['vfio-pci', true, known([user]), 'sealed'],
    ['vfio-pci', true, known([]), 'watched'],
    ['vfio-pci', true, unknown('EACCES'), 'watched'],
    ['vfio-pci', false, known([user]), 'broken'],
    ['nvme', true, known([]), 'broken'],
  ] as const)('of a group on %s, whole: %s', (driver, whole, users, expected) => {
    expect(protectionOf({ drivers: [known(driver)], whole, users })).toBe(expected)
  })

  it('of several groups is the weakest', () => {
    expect(weakest(['sealed', 'watched'])).toBe('watched')
    expect(weakest(['sealed', 'broken', 'watched'])).toBe('broken')
    expect(weakest(['sealed'])).toBe('sealed')
    expect(weakest([])).toBe('broken')
  })
})
