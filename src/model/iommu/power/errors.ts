/** Why a PE was frozen. The numbers are the model's own: real PHBs tell by bits of many registers. */
export const POWER_ERROR = {
  noEndpoint: 1,
  noWindow: 2,
  outsideWindow: 3,
  tableEntry: 4,
  writeDenied: 5,
  readDenied: 6,
  foreignInterrupt: 7,
} as const

const TEXTS: Readonly<Record<number, string>> = {
  1: 'requester belongs to no partitionable endpoint',
  2: 'window is not set up (TVE invalid)',
  3: 'address is outside the window',
  4: 'bad pointer in the TCE table',
  5: 'TCE is not writable',
  6: 'TCE is not readable',
  7: 'interrupt of another partitionable endpoint',
}

export function errorText(code: number): string {
  return TEXTS[code] ?? 'unknown'
}
