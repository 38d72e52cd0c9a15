/**
 * A "no" of the model kernel: the errno by name, as the C code would return -EBUSY. Thrown inside the
 * model, turned into a KernelError (with the call and the path) where a call leaves it.
 */
export class Errno extends Error {
  /** "EBUSY", "ENODEV", ... */
  readonly code: string

  constructor(code: string, why = '') {
    super(why === '' ? code : `${code}: ${why}`)
    this.name = 'Errno'
    this.code = code
  }
}
