import { describe, expect, it } from 'vitest'
import { parseActual } from '../actual.ts'
import { checkEnd, checkGroupIds, checkPrediction, checkSame } from './checks.ts'

const devices = parseActual(
  '0000:00:02.0 2 -\n0000:01:00.0 2 -\n0000:02:00.0 3 -\n0000:03:00.0 - -\n',
)

function prediction(...groups: readonly (readonly string[])[]): string {
  const shown = groups.map((members) => ({ devices: members, because: [] }))
  return JSON.stringify({ apiVersion: 'isogroup/v1', kind: 'Prediction', groups: shown })
}

describe('checkPrediction', () => {
  it('accepts the same partition in any order, and anything for ungrouped devices', () => {
    const same = prediction(['0000:02:00.0'], ['0000:01:00.0', '0000:00:02.0'], ['0000:03:00.0'])
    expect(checkPrediction(devices, same)).toEqual([])
  })

  it('finds a group that was split and a device left out', () => {
    const split = prediction(['0000:02:00.0'], ['0000:01:00.0'])
    const [finding] = checkPrediction(devices, split)
    expect(finding?.detail).toBe('kernel: 0000:00:02.0 0000:01:00.0\nfound:  0000:01:00.0')
  })

  it('refuses other kinds of answer', () => {
    const other = '{"apiVersion":"isogroup/v1","kind":"X"}'
    expect(() => checkPrediction(devices, other)).toThrow('no Prediction but isogroup/v1 X')
    expect(() => checkPrediction(devices, 'Error: no')).toThrow('not JSON')
  })
})

describe('checkGroupIds', () => {
  function list(...groups: readonly (readonly [string, readonly string[]])[]): string {
    const shown = groups.map(([id, members]) => {
      return { id, devices: members.map((address) => ({ address })) }
    })
    return JSON.stringify({ apiVersion: 'isogroup/v1', kind: 'GroupList', groups: shown })
  }

  it('wants the number of the kernel for every device', () => {
    const right = list(['2', ['0000:00:02.0', '0000:01:00.0']], ['3', ['0000:02:00.0']])
    expect(checkGroupIds(devices, right)).toEqual([])
    const wrong = list(['2', ['0000:00:02.0', '0000:02:00.0']], ['4', ['0000:03:00.0']])
    expect(checkGroupIds(devices, wrong)[0]?.detail.split('\n')).toEqual([
      '0000:01:00.0: kernel 2, listed none',
      '0000:02:00.0: kernel 3, listed 2',
      '0000:03:00.0: kernel none, listed 4',
    ])
  })
})

describe('checkEnd', () => {
  const ended = { code: 0, stdout: Buffer.from(''), stderr: '' }

  it('finds a wrong exit code and a stack trace', () => {
    expect(checkEnd('ls', ended)).toEqual([])
    expect(checkEnd('ls', { ...ended, code: 1 })[0]?.check).toBe('ls: exit code')
    const stderr = 'Error: x\n    at run (file:///app/dist/cli/main.js:1:2)\n'
    expect(checkEnd('ls', { ...ended, stderr })[0]?.check).toBe('ls: no stack trace')
  })
})

describe('checkSame', () => {
  it('shows the neighbourhood of the first difference', () => {
    expect(checkSame('ls', Buffer.from('a\nb\n'), Buffer.from('a\nb\n'))).toEqual([])
    const [finding] = checkSame('ls', Buffer.from('a\nbcd\n'), Buffer.from('a\nbxd\n'))
    expect(finding?.detail).toContain('line 2')
    expect(finding?.detail).toContain('guest:  bcd')
  })
})
