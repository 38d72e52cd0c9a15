/**
 * Loading a module into a running kernel: its drivers register, and each is offered every function that has
 * none yet (kernel/module/main.c, driver_register in drivers/base/driver.c).
 */
import { registerDriver } from '../driver-core/bind.ts'
import { Errno } from '../errno.ts'
import type { Credentials } from '../process.ts'
import type { Task } from '../task.ts'
import type { KernelParts } from './kernel-parts.ts'

/** modprobe takes - for _. */
function sameName(a: string, b: string): boolean {
  return a.replaceAll('-', '_') === b.replaceAll('-', '_')
}

/** @throws Errno EINVAL, EPERM, ENOENT */
export function* loadModule(
  { context, files, pci, unloaded }: KernelParts,
  name: string,
  who: Credentials,
): Task<void> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/.test(name)) throw new Errno('EINVAL', name)
  const module = files.exists(`/sys/module/${name.replaceAll('-', '_')}`)
  const builtIn = [...pci.bus.drivers.values()].some((one) => sameName(one.name, name))
  const wanted = unloaded.filter((driver) => sameName(driver.module ?? driver.name, name))
  if (wanted.length === 0) {
    if (module || builtIn) return
    throw new Errno('ENOENT', `there is no module ${name}`)
  }
  // CAP_SYS_MODULE, which the model has no other use for.
  if (!who.capabilities.has('CAP_SYS_ADMIN')) throw new Errno('EPERM', name)
  for (const driver of wanted) {
    unloaded.splice(unloaded.indexOf(driver), 1)
    yield* registerDriver(context, driver)
  }
}
