import { describe, expect, it } from 'vitest'
import { ClosedPipeError, writeAll } from './stream.ts'

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}

describe('writeAll', () => {
  const text = Buffer.from('every byte, once and in order')

  it('goes on after partial writes and full pipes', () => {
    let taken = ''
    let turn = 0
    writeAll(text, (bytes, from) => {
      if (turn++ % 2 === 0) throw failure('EAGAIN')
      const part = bytes.subarray(from, from + 3)
      taken += Buffer.from(part).toString()
      return part.length
    })
    expect(taken).toBe(text.toString())
  })

  it('tells a reader that went away from a write that failed', () => {
    const failing = (code: string) => () => {
      writeAll(text, () => {
        throw failure(code)
      })
    }
    expect(failing('EPIPE')).toThrow(ClosedPipeError)
    expect(failing('ENOSPC')).toThrow('ENOSPC')
  })
})
