/**
 * C structures as data: where each field lies and how wide it is, so that the layout of an ABI can be read
 * as a table, checked against the headers, and used for both encoding and decoding. Little-endian, as
 * all machines are that isogroup runs on.
 */

export type FieldType = 'u8' | 'u16' | 'u32' | 's32' | 'u64'

export interface Structure<Name extends string> {
  /** sizeof, without a flexible array at the end. */
  readonly bytes: number
  readonly fields: Readonly<Record<Name, readonly [offset: number, type: FieldType]>>
}

/** A zeroed structure with the given fields; `extra` bytes follow, for an array at the end. */
export function encodeStructure<Name extends string>(
  structure: Structure<Name>,
  values: Partial<Readonly<Record<Name, number | bigint>>>,
  extra = 0,
): Uint8Array {
  const bytes = new Uint8Array(structure.bytes + extra)
  const view = new DataView(bytes.buffer)
  for (const name of Object.keys(values) as Name[]) {
    const value = values[name]
    if (value === undefined) continue
    const [offset, type] = structure.fields[name]
    putField(view, offset, type, value)
  }
  return bytes
}

function putField(view: DataView, offset: number, type: FieldType, value: number | bigint): void {
  switch (type) {
    case 'u8':
      view.setUint8(offset, Number(value))
      break
    case 'u16':
      view.setUint16(offset, Number(value), true)
      break
    case 'u32':
      view.setUint32(offset, Number(value), true)
      break
    case 's32':
      view.setInt32(offset, Number(value), true)
      break
    case 'u64':
      view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true)
      break
  }
}
