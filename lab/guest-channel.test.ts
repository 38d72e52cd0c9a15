import { describe, expect, it } from 'vitest'
import { ByteReader } from './byte-reader.ts'
import { parseAnswer, shellQuote } from './guest.ts'
import { guestInit } from './guest-init.ts'

describe('ByteReader', () => {
  it('finds lines and counted bytes whatever the chunks are', async () => {
    const whole = Buffer.from('DONE 1 0 5 2\nab\ncdxyHELLO\n')
    for (let size = 1; size <= whole.length; size += 1) {
      const reader = new ByteReader()
      for (let at = 0; at < whole.length; at += size) reader.push(whole.subarray(at, at + size))
      expect(await reader.line()).toBe('DONE 1 0 5 2')
      expect((await reader.bytes(5)).toString()).toBe('ab\ncd')
      expect((await reader.bytes(2)).toString()).toBe('xy')
      expect(await reader.line()).toBe('HELLO')
    }
  })

  it('waits for bytes that have not come yet', async () => {
    const reader = new ByteReader()
    const waiting = reader.bytes(4)
    reader.push(Buffer.from('ab'))
    await Promise.resolve()
    reader.push(Buffer.from('cdef'))
    expect((await waiting).toString()).toBe('abcd')
    expect((await reader.bytes(0)).length).toBe(0)
  })

  it('gives what came before the end, then the reason of the end', async () => {
    const reader = new ByteReader()
    reader.push(Buffer.from('last\n'))
    reader.end(new Error('the guest is gone'))
    expect(await reader.line()).toBe('last')
    await expect(reader.line()).rejects.toThrow('the guest is gone')
  })
})

describe('parseAnswer', () => {
  it('reads the numbers of a finished step', () => {
    expect(parseAnswer('DONE 3 127 0 2048')).toEqual(['DONE', 3, 127, 0, 2048])
  })

  it('makes nothing of anything else', () => {
    expect(parseAnswer('[    0.000000] Linux version')[1]).toBeNaN()
    expect(parseAnswer('DONE 3')[3]).toBeNaN()
  })
})

describe('shellQuote', () => {
  it('leaves plain words alone and protects the others', () => {
    expect(shellQuote('/tmp/c.isocap')).toBe('/tmp/c.isocap')
    expect(shellQuote(`it's $HOME`)).toBe(`'it'\\''s $HOME'`)
    expect(shellQuote('')).toBe(`''`)
  })
})

describe('guestInit', () => {
  it('has no unresolved template and begins with an interpreter', () => {
    expect(guestInit).toMatch(/^#!\/bin\/sh\n/)
    expect(guestInit).not.toContain('undefined')
  })
})
