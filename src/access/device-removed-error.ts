/** A device that is not there any more, or a window whose device has gone: an answer, never the end of the process. */
export class DeviceRemovedError extends Error {
  readonly address: string

  constructor(address: string, options?: { cause?: unknown }) {
    super(`${address} was removed from the host, or taken from this program`, options)
    this.name = 'DeviceRemovedError'
    this.address = address
  }
}
