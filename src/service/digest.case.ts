/** SHA-256, as the program has it. */
import { createHash } from 'node:crypto'

export function testDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
