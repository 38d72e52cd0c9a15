/** Arguments of VFIO_DEVICE_SET_IRQS: every combination of data and action, many that work. */
import { encodeStructure } from '../../src/kernel/abi/structure.ts'
import { IRQ_SET, IRQ_SET_FLAG } from '../../src/kernel/abi/vfio.ts'
import type { Argument, Patch } from './operation.ts'
import { COUNTER_COUNT } from './perform.ts'
import type { World } from './world.ts'

export function setIrqs(world: World): Argument {
  const { random } = world
  const { dataNone, dataBool, dataEventfd } = IRQ_SET_FLAG
  const { actionMask, actionUnmask, actionTrigger } = IRQ_SET_FLAG
  const plain = random.percent(40)
  const any = world.pick([dataNone, dataBool, dataEventfd, dataEventfd]) ?? dataNone
  const data = plain ? dataEventfd : any
  const trigger = plain || random.percent(70)
  const action = trigger ? actionTrigger : (world.pick([actionMask, actionUnmask]) ?? actionMask)
  const flags = plain || random.percent(95) ? data | action : random.between(0, 0x7f)
  const index = random.between(0, 5)
  const start = plain || random.percent(85) ? 0 : random.between(0, 3)
  const count = plain ? 1 : random.percent(25) ? 0 : random.between(1, 3)
  const width = (flags & dataEventfd) !== 0 ? 4 : (flags & dataBool) !== 0 ? 1 : 0
  const size = IRQ_SET.bytes + width * count
  const argsz = random.percent(95) ? size : (world.pick([12, 19, 20, size - 1]) ?? size)
  const bytes = encodeStructure(IRQ_SET, { argsz, flags, index, start, count }, width * count)
  const patches: Patch[] = []
  for (let item = 0; item < count; item++) {
    const at = IRQ_SET.bytes + width * item
    if (width === 1) bytes[at] = random.between(0, 1)
    if (width !== 4) continue
    if (random.percent(85)) {
      patches.push({ at, put: 'counter', index: random.between(0, COUNTER_COUNT - 1) })
    } else {
      // No eventfd: removes one, or is an error when it is no descriptor at all.
      new DataView(bytes.buffer).setInt32(at, world.pick([-1, -1, -2, 0x7fff_0000]) ?? -1, true)
    }
  }
  return { hex: Buffer.from(bytes).toString('hex'), patches }
}
