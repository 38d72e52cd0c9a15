/** Owner and mode of files: stat(2), chown(2) and chmod(2) through node:fs, each under the kernel's errno. */
import { statSync } from 'node:fs'
import { chmod, chown } from 'node:fs/promises'
import { type FileStatus, type KernelAction, KernelError } from '../kernel.ts'
import { errnoOf, named, refuseClimbing } from './failure.ts'

/** Bits of st_mode that say what kind of file it is are left out. */
const PERMISSION_BITS = 0o7777

/** @param prefix put in front of the path @throws KernelError */
export function fileStatus(prefix: string, path: string): FileStatus {
  refuseClimbing('stat', path)
  const { uid, gid, mode } = named('stat', path, () => statSync(prefix + path))
  return { uid, gid, mode: mode & PERMISSION_BITS }
}

/** @throws KernelError */
export function changeOwner(prefix: string, path: string, uid: number, gid: number): Promise<void> {
  return changed('chown', path, () => chown(prefix + path, uid, gid))
}

/** @throws KernelError */
export function changeMode(prefix: string, path: string, mode: number): Promise<void> {
  return changed('chmod', path, () => chmod(prefix + path, mode))
}

async function changed(
  action: KernelAction,
  path: string,
  change: () => Promise<void>,
): Promise<void> {
  refuseClimbing(action, path)
  try {
    await change()
  } catch (cause) {
    throw new KernelError(errnoOf(cause), action, path)
  }
}
