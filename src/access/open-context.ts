/** How programs begin: groups by id, or by the address of a device in them, to one context over all of them. */
import { IsogroupError } from '../base/errors.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import { Type1Container } from '../linux/vfio/type1-container.ts'
import { Context, type ContextOptions } from './context.ts'

/**
 *     const context = await openContext(host, ['0000:01:00.0', '0000:02:00.0'])
 *     const memory = context.allocate(2 ** 20)
 *     const { iova } = context.map(memory)
 *     const device = context.device('0000:01:00.0')
 *     ...
 *     await context.close()                      // everything is undone, in order
 *
 * @param groups ids of groups, or addresses of devices in them; at least one. This process may open them, and nobody
 *   else has one of them open.
 * @throws IsogroupError usage, not-found, permission, refused: which group, and what stands in the way. Nothing is
 *   open then.
 */
export async function openContext(
  host: { readonly kernel: Kernel },
  groups: readonly string[],
  options: ContextOptions = {},
): Promise<Context> {
  if (groups.length === 0) {
    throw new IsogroupError('usage', 'a context needs a group', 'isogroup ls lists them')
  }
  const context = new Context(host.kernel, await openContainer(host.kernel), options)
  try {
    for (const group of groups) await context.addGroup(group)
  } catch (cause) {
    // What went wrong first is what matters.
    await context.close().catch(() => undefined)
    throw cause
  }
  return context
}

async function openContainer(kernel: Kernel): Promise<Type1Container> {
  try {
    return await Type1Container.open(kernel)
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause
    throw new IsogroupError(
      cause.code === 'EACCES' ? 'permission' : 'not-found',
      `cannot open /dev/vfio/vfio: ${cause.code}`,
      'modprobe vfio-pci; isogroup doctor',
      { cause },
    )
  }
}
