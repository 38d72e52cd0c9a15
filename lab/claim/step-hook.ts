/**
 * Loaded into the program from outside, with `node --import`: stops it between two effects, with SIGKILL.
 *
 * What the program does to the world goes through few functions of Node: synchronous file calls (the
 * records it keeps), changes of owner and mode, and requests to the process that writes for it. They are
 * counted in the order in which they happen, and before a given one the process is killed, at once and by
 * the kernel, like another process could do it, only at a known place. The program knows nothing of this.
 *
 *     LAB_KILL_AT=12       killed when it is about to do its 12th effect
 *     LAB_EFFECTS=FILE     a line for each effect goes to FILE
 *     LAB_RIVAL=A|B|C      before the first request with A in it, C is written to the file B: somebody
 *                          else who changes the same devices
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { Socket } from 'node:net'

type Call = (...args: unknown[]) => unknown

const killAt = Number(process.env['LAB_KILL_AT'] ?? Number.NaN)
const log = process.env['LAB_EFFECTS']
const { appendFileSync, writeFileSync } = fs
let rival = process.env['LAB_RIVAL']?.split('|')
let count = 0

function effect(what: string): void {
  count += 1
  if (log !== undefined) appendFileSync(log, `${String(count)} ${what}\n`)
  if (count === killAt) process.kill(process.pid, 'SIGKILL')
}

/** Puts a counted function in the place of one. */
function count1(holder: object, name: string): void {
  const original = Reflect.get(holder, name) as Call
  Reflect.set(holder, name, (...args: unknown[]): unknown => {
    effect(`${name} ${typeof args[0] === 'string' ? args[0] : ''}`)
    return original(...args)
  })
}

for (const name of ['fsyncSync', 'fdatasyncSync', 'renameSync', 'unlinkSync', 'rmSync']) {
  count1(fs, name)
}
for (const name of ['chown', 'chmod']) count1(fs.promises, name)
syncBuiltinESMExports()

const write = Reflect.get(Socket.prototype, 'write') as Call
Reflect.set(Socket.prototype, 'write', function (this: unknown, ...args: unknown[]): unknown {
  const request = typeof args[0] === 'string' ? args[0] : ''
  if (!request.startsWith('{"path":"')) return write.apply(this, args)
  if (rival !== undefined && request.includes(rival[0] ?? '')) {
    const [, path = '', text = ''] = rival
    rival = undefined
    writeFileSync(path, `${text}\n`)
  }
  effect(request.trim())
  const result = write.apply(this, args)
  // The request is on its way and nobody waits for the answer.
  effect('request sent')
  return result
})
