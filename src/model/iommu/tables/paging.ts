/** Checks that every paging domain makes before it touches its tables. */
import { Errno } from '../../errno.ts'
import { type Geometry, READ, WRITE } from '../domain.ts'

/** @throws Errno EINVAL: outside the geometry, no pages, or neither readable nor writable */
export function checkMapping(
  geometry: Geometry,
  iovaPage: number,
  pages: number,
  access: number,
): void {
  if (pages < 1 || iovaPage < geometry.firstPage || iovaPage + pages - 1 > geometry.lastPage) {
    throw new Errno('EINVAL', 'outside the range of the domain')
  }
  if ((access & (READ | WRITE)) === 0) throw new Errno('EINVAL', 'neither readable nor writable')
}
