/**
 * A fact about the world that may not be readable.
 *
 * "Unknown" is a value of its own, never a false, an empty list or a zero: a fact that could not be
 * read carries the reason, so that every layer above can show it and decide on the safe side.
 */
export type Fact<T> = KnownFact<T> | UnknownFact

export interface KnownFact<T> {
  readonly known: true
  readonly value: T
}

export interface UnknownFact {
  readonly known: false
  /** Why it could not be learned, in words for a person: "config space: only 64 bytes readable". */
  readonly why: string
}

/** A fact that was read. */
export function known<T>(value: T): KnownFact<T> {
  return { known: true, value }
}

/** A fact that could not be read, with the reason. */
export function unknown(why: string): UnknownFact {
  return { known: false, why }
}

/** The value of a known fact, or the fallback. Only for places where showing "unknown" is done elsewhere. */
export function valueOr<T, F>(fact: Fact<T>, fallback: F): T | F {
  return fact.known ? fact.value : fallback
}

/** Applies a function to a known value; an unknown stays unknown for the same reason. */
export function mapFact<T, U>(fact: Fact<T>, change: (value: T) => U): Fact<U> {
  return fact.known ? known(change(fact.value)) : fact
}
