/**
 * Status codes of completed commands (NVM Express 1.4, 4.6.1): bits 7:0 the code, 10:8 its type (0
 * generic, 1 command specific), bit 14 "do not retry".
 */
export const STATUS = {
  success: 0x000,
  invalidOpcode: 0x001,
  invalidField: 0x002,
  dataTransferError: 0x004,
  abortRequested: 0x007,
  invalidNamespace: 0x00b,
  commandSequence: 0x00c,
  prpOffsetInvalid: 0x013,
  lbaOutOfRange: 0x080,
  completionQueueInvalid: 0x100,
  invalidQueueId: 0x101,
  invalidQueueSize: 0x102,
  eventLimitExceeded: 0x105,
  invalidInterruptVector: 0x108,
  invalidLogPage: 0x109,
  invalidQueueDeletion: 0x10c,
} as const

/**
 * A command that failed. Thrown by whoever executes it, put into the completion by the controller.
 */
export class CommandFailure extends Error {
  readonly status: number

  constructor(status: number) {
    super(`NVMe status 0x${status.toString(16)}`)
    this.name = 'CommandFailure'
    this.status = status
  }
}

/**
 * The status field as it stands in a completion entry: repeating a failed command would not help.
 */
export function statusField(status: number): number {
  return status === STATUS.success ? 0 : status | 0x4000
}
