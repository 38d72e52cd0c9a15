/** Spans of time in one or two units: "45 s", "3 min", "2 h 5 min", "12 d". */

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** @param span milliseconds; below zero (a clock that was set back) counts as none */
export function ageText(span: number): string {
  if (span < MINUTE) return `${String(Math.max(0, Math.floor(span / SECOND)))} s`
  if (span < HOUR) return `${String(Math.floor(span / MINUTE))} min`
  if (span < 2 * DAY) {
    const minutes = Math.floor((span % HOUR) / MINUTE)
    const hours = `${String(Math.floor(span / HOUR))} h`
    return minutes === 0 ? hours : `${hours} ${String(minutes)} min`
  }
  return `${String(Math.floor(span / DAY))} d`
}
