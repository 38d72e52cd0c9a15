/**
 * Names that the kernel gives out by number: eth0, nvme0, card0. The lowest free number is taken
 * (dev_alloc_name in net/core/dev.c, ida_alloc elsewhere), and comes back when the device goes.
 */
export class DeviceNames {
  /** "net/eth0": each class has names of its own. */
  readonly #taken = new Set<string>()
  /** By class and prefix: no number below it is free. */
  readonly #lowest = new Map<string, number>()

  /** @param prefix "eth", "nvme" */
  next(className: string, prefix: string): string {
    const key = `${className}/${prefix}`
    let number = this.#lowest.get(key) ?? 0
    while (this.#taken.has(`${key}${String(number)}`)) number += 1
    this.#lowest.set(key, number + 1)
    return this.take(className, `${prefix}${String(number)}`)
  }

  /** A name that udev or a real host chose. */
  take(className: string, name: string): string {
    this.#taken.add(`${className}/${name}`)
    return name
  }

  release(className: string, name: string): void {
    this.#taken.delete(`${className}/${name}`)
    const [, prefix = '', digits = ''] = /^(.*?)(\d+)$/.exec(name) ?? []
    const key = `${className}/${prefix}`
    const lowest = this.#lowest.get(key)
    if (lowest !== undefined) this.#lowest.set(key, Math.min(lowest, Number(digits)))
  }
}
