import { describe, expect, it } from 'vitest'
import { fatesOf, type Plug, readEvents, summarize } from './newcomers.ts'
import { compareStates, driverIn } from './state.ts'

const address = '0000:02:03.0'
const plug: Plug = { kind: 'claimed', address, home: 'e1000', guarded: true }

describe('what became of newcomers', () => {
  it('calls the window won when no kernel driver was bound before the claim’s', () => {
    const events = readEvents(`listening
1000 add ${address} -
51000 bind ${address} vfio-pci
`)
    expect(fatesOf([plug], events)).toEqual([{ plug, won: true, wholeAfter: 50 }])
  })

  it('calls it lost when the kernel driver had the device, and counts until the group is whole', () => {
    const events = readEvents(`1000 add ${address} -
2000 bind ${address} e1000
9000 unbind ${address} -
11000 bind ${address} vfio-pci`)
    expect(fatesOf([plug], events)).toEqual([{ plug, won: false, wholeAfter: 10 }])
  })

  it('tells newcomers at the same place apart', () => {
    const events = readEvents(`1000 add ${address} -
2000 bind ${address} vfio-pci
3000 remove ${address} -
4000 add ${address} -
5000 bind ${address} e1000
8000 bind ${address} vfio-pci`)
    expect(fatesOf([plug, plug], events).map(({ won }) => won)).toEqual([true, false])
  })

  it('does not count a newcomer that never came to the claim’s driver', () => {
    const events = readEvents(`1000 add ${address} -
2000 bind ${address} e1000`)
    expect(fatesOf([plug], events)).toEqual([])
    expect(summarize([plug], events)[0]).toContain('1 newcomers, driver kept off 0')
  })
})

describe('states of a guest', () => {
  const state = `${address} enable 1\n${address}/driver ../../../bus/pci/drivers/e1000\n`

  it('shows every line that differs', () => {
    const [finding] = compareStates('x', state, state.replace('enable 1', 'enable 0'))
    expect(finding?.detail).toBe(`before: ${address} enable 1\nafter:  ${address} enable 0`)
    expect(compareStates('x', state, state)).toEqual([])
  })

  it('tells the driver of a function', () => {
    expect(driverIn(state, address)).toBe('e1000')
    expect(driverIn(state, '0000:02:04.0')).toBeUndefined()
  })
})
