/**
 * Nodes under /dev/vfio, as devtmpfs makes them (drivers/base/devtmpfs.c). A node is a name with an
 * owner and a mode, which an administrator may change; who passes the check may open what is behind it.
 *
 *     /dev/vfio/vfio     10:196   0666   a container by itself gives no power
 *     /dev/vfio/9       245:0     0600   there while a member of group 9 has a VFIO driver
 */
import { Errno } from '../errno.ts'
import type { Credentials } from '../process.ts'
import type { File } from '../sysfs/node.ts'
import { modeAllows, READ, WRITE } from '../sysfs/permission.ts'

export interface DeviceNode {
  /** Under /dev: "vfio/9". */
  readonly path: string
  /** "245:0" */
  readonly devt: string
  /** chmod and chown change these. */
  mode: number
  uid: number
  gid: number
}

export function deviceNode(path: string, devt: string, mode: number): DeviceNode {
  return { path, devt, mode, uid: 0, gid: 0 }
}

/** Opening for reading and writing. @throws Errno EACCES */
export function checkAccess(node: DeviceNode, who: Credentials): void {
  if (who.capabilities.has('CAP_DAC_OVERRIDE')) return
  if (!modeAllows(node, who, READ | WRITE)) throw new Errno('EACCES', `/dev/${node.path}`)
}

/** The node in a directory listing. It has no content: only opening does something. */
export function nodeFile(node: DeviceNode): File {
  const { mode, uid, gid } = node
  return {
    kind: 'file',
    mode,
    uid,
    gid,
    change(owned) {
      node.uid = owned.uid
      node.gid = owned.gid
      node.mode = owned.mode
    },
  }
}
