/**
 * Where network frames go. The ports of one slot (the functions of a multi-function card, a
 * physical function and its virtual ones) are on one wire: what one sends, all others hear. Real
 * cards need a cable or an inner switch for that; here it makes tests of two functions possible
 * without a network.
 */
export interface NetworkPort {
  receive(frame: Uint8Array): void
}

/** One port's end of a wire. */
export interface Wire {
  send(frame: Uint8Array): void
}

export class Cabling {
  readonly #wires = new Map<string, Set<NetworkPort>>()

  /** @param place domain, bus and device without the function: "0000:09:00" */
  plug(place: string, port: NetworkPort): Wire {
    const ports = this.#wires.get(place) ?? new Set()
    this.#wires.set(place, ports)
    ports.add(port)
    return {
      send: (frame) => {
        for (const other of ports) if (other !== port) other.receive(frame)
      },
    }
  }
}
