/**
 * Names that the kernel gives out by number: eth0, nvme0, card0. The lowest free number is taken
 * (dev_alloc_name in net/core/dev.c, ida_alloc elsewhere), and comes back when the device goes.
 */
export class DeviceNames {
  /** "net/eth0": each class has names of its own. */
  readonly #taken = new Set<string>()

  /** @param prefix "eth", "nvme" */
  next(className: string, prefix: string): string {
    let number = 0
    while (this.#taken.has(`${className}/${prefix}${String(number)}`)) number += 1
    return this.take(className, `${prefix}${String(number)}`)
  }

  /** A name that udev or a real host chose. */
  take(className: string, name: string): string {
    this.#taken.add(`${className}/${name}`)
    return name
  }

  release(className: string, name: string): void {
    this.#taken.delete(`${className}/${name}`)
  }
}
