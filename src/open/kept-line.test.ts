import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { changeText, headingText, type KeptLine, parseHeading, parseLine } from './kept-line.ts'

const id = fc.nat({ max: 0xffff_ffff })
const line: fc.Arbitrary<KeptLine> = fc.record({
  change: fc.oneof(
    fc.record({
      kind: fc.constant('write' as const),
      path: fc.string(),
      bytes: fc.oneof(
        fc.uint8Array(),
        fc.string({ unit: 'binary' }).map((text) => new TextEncoder().encode(text)),
      ),
    }),
    fc.record({ kind: fc.constant('chown' as const), path: fc.string(), uid: id, gid: id }),
    fc.record({ kind: fc.constant('chmod' as const), path: fc.string(), mode: fc.nat(0o7777) }),
    fc.record({ kind: fc.constant('load' as const), name: fc.string() }),
  ),
  answer: fc.constantFrom('done', 'EBUSY', 'E2BIG', 'ETIMEDOUT', 'EPROBE_DEFER'),
})

describe('lines of a kept model', () => {
  it('are one line each, and give back what was written', () => {
    fc.assert(
      fc.property(line, (kept) => {
        const text = changeText(kept)
        expect(text.indexOf('\n')).toBe(text.length - 1)
        expect(parseLine('f', 2, text.trimEnd())).toEqual(kept)
      }),
    )
  })

  it('have a heading that gives back what was written', () => {
    const heading = { machine: 'desktop', digest: 'ab', bootId: '1'.repeat(36) }
    expect(parseHeading('f', headingText(heading).trimEnd())).toEqual(heading)
  })

  it.each([
    ['', 'one JSON object'],
    ['{', 'one JSON object'],
    ['[]', 'an object'],
    ['null', 'an object'],
    ['{}', 'load: expected a text'],
    ['{"load":"vfio"}', 'answer'],
    ['{"answer":"done"}', 'load: expected a text'],
    ['{"write":"/a","text":"1","answer":"perhaps"}', 'answer: expected "done" or an errno'],
    ['{"write":"/a","answer":"done"}', 'text: expected a text'],
    ['{"write":"/a","text":"1","base64":"MQ==","answer":"done"}', 'text: expected no member'],
    ['{"write":"/a","base64":"?","answer":"done"}', 'base64: expected base64'],
    ['{"write":1,"text":"1","answer":"done"}', 'write: expected a text'],
    ['{"chown":"/a","uid":-1,"gid":0,"answer":"done"}', 'uid: expected a whole number'],
    ['{"chown":"/a","uid":0,"gid":4294967296,"answer":"done"}', 'gid: expected a whole number'],
    ['{"chmod":"/a","mode":384,"answer":"done"}', 'mode: expected an octal mode'],
    ['{"chmod":"/a","mode":"800","answer":"done"}', 'mode: expected an octal mode'],
    ['{"load":"vfio","more":1,"answer":"done"}', 'more: expected no member'],
  ])('are refused with file and line when damaged: %s', (text, message) => {
    const refusal = (): unknown => parseLine('/s/model-x.jsonl', 7, text)
    expect(refusal).toThrow(IsogroupError)
    expect(refusal).toThrow('/s/model-x.jsonl:7: ')
    expect(refusal).toThrow(message)
    expect(refusal).toThrow(expect.objectContaining({ code: 'bad-machine' }) as Error)
  })

  it.each([
    ['{}', 'format'],
    ['{"format":"isogroup-model"}', 'format: expected "isogroup-kept-model"'],
    ['{"format":"isogroup-kept-model","version":2}', 'version'],
    ['{"format":"isogroup-kept-model","version":1,"machine":1}', 'machine'],
    [
      '{"format":"isogroup-kept-model","version":1,"machine":"a","digest":"b","bootId":"c"}',
      'bootId: expected a UUID',
    ],
  ])('refuse a heading of another kind: %s', (text, message) => {
    expect(() => parseHeading('/s/model-x.jsonl', text)).toThrow('/s/model-x.jsonl:1: ')
    expect(() => parseHeading('/s/model-x.jsonl', text)).toThrow(message)
  })
})
