/**
 * Where records are kept: few small files, each with a plain name. What a call says is done is on the disk,
 * and a crash leaves each file as it was before the call or as it should be after it; only an append may leave
 * a part of its text.
 */

export interface StateDirectory {
  /** For messages: "/var/lib/isogroup". */
  readonly place: string
  /** Names of the files; none when there is no such directory yet. @throws IsogroupError permission, io */
  list(): readonly string[]
  /** Null when there is no such file. @throws IsogroupError permission, io */
  read(name: string): string | null
  /** Puts text at the end of a file, which is made when it is not there. @throws IsogroupError permission, io: then the file is as it was, as far as possible */
  append(name: string, text: string): void
  /** Gives a file this content, in one piece. @throws IsogroupError permission, io: then it is as it was */
  replace(name: string, text: string): void
  /** Removes a file, if it is there. @throws IsogroupError permission, io */
  remove(name: string): void
  /**
   * Waits until nobody else has this lock. Readers need none.
   * @param patience milliseconds
   * @returns gives it back
   * @throws IsogroupError refused: somebody else has it still; permission, io
   */
  lock(name: LockName, patience: number): Promise<() => void>
}

/** `changes`: to write records and change the host; `guard`: to be the guard. */
export type LockName = 'changes' | 'guard'

/** Time, as the service needs it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** @param signal ends it early; it then resolves as well */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}
