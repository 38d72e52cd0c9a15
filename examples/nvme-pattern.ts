/** What is written where: known to whoever knows the seed, so that another driver can check it. */
const WORDS = 1024

/** A number that looks like chance (xorshift multiply, as in MurmurHash3's finalizer). */
function mixed(value: number): number {
  let x = value >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** The page of the n-th command. @param pages that the disk has */
export function placeOf(seed: number, n: number, pages: number): number {
  return mixed(mixed(seed) + n) % pages
}

export function fillPage(page: Uint8Array, seed: number, place: number): void {
  const words = new Uint32Array(page.buffer, page.byteOffset, WORDS)
  let word = mixed(mixed(seed) ^ (place + 1))
  for (let n = 0; n < WORDS; n++) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0
    words[n] = word
  }
}

export function isPage(page: Uint8Array, seed: number, place: number): boolean {
  const wanted = new Uint8Array(page.length)
  fillPage(wanted, seed, place)
  return page.every((byte, at) => byte === wanted[at])
}
