/**
 * The running kernel, all of it: what nativeKernel() reads, and writing, devices, memory and events.
 * Loads native code; who only reads takes nativeKernel() and pays nothing.
 */
import type { Kernel } from '../kernel.ts'
import { openEventCounter } from './event-counter.ts'
import { changeMode, changeOwner, fileStatus } from './file-owner.ts'
import { descriptorHandle, openHandle } from './handle.ts'
import { anonymousMemory } from './mapping.ts'
import { loadKernelModule } from './module-loader.ts'
import { nativeKernel } from './native-kernel.ts'
import { openUevents } from './uevent-socket.ts'
import { fileWriter } from './writer.ts'

/** @param root directory in front of every path, as for nativeKernel() */
export function liveKernel(root = '/'): Kernel {
  const prefix = root.replace(/\/+$/, '')
  const writer = fileWriter(prefix)
  return {
    ...nativeKernel(root),
    write: (path, bytes, deadline) => writer.write(path, bytes, deadline),
    expectWrites: () => writer.expect(),
    stat: (path) => fileStatus(prefix, path),
    setOwner: (path, uid, gid) => changeOwner(prefix, path, uid, gid),
    setMode: (path, mode) => changeMode(prefix, path, mode),
    loadModule: (name, deadline) => loadKernelModule(name, deadline),
    open: (path) => openHandle(prefix, path),
    handle: (descriptor, name) => descriptorHandle(descriptor, name),
    memory: (length, pages = 'small') => anonymousMemory(length, pages),
    eventCounter: () => openEventCounter(),
    events: () => openUevents(),
  }
}
