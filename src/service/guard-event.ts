/** What the guard has to say, one value for each thing that happened. */
import type { Protection } from '../isolation/ownership/protection.ts'

export type GuardEvent =
  | (GroupEvent & {
      /** Id of the claim. */
      readonly claim: string
      /** Id of the group now; null: its devices are gone. */
      readonly group: string | null
    })
  /** A claim was undone because nobody confirmed it in time. `left`: what could not be given back. */
  | { readonly kind: 'unconfirmed'; readonly claim: string; readonly left: readonly string[] }
  /** Something kept the guard from looking at all. */
  | { readonly kind: 'trouble'; readonly what: string }
  /** The kernel had more events than there was room for. Nothing is lost by it: everything is looked at. */
  | { readonly kind: 'lost' }

export type GroupEvent =
  /** How well a group is kept from now on: at the first look, and when it changes. */
  | { readonly kind: 'protection'; readonly protection: Protection }
  /** A device came into the group. `driver`: the one that was faster than the guard; null = none was. */
  | {
      readonly kind: 'newcomer'
      readonly address: string
      /** "8086:100e 1af4:1100 020000": ids, subsystem, class. */
      readonly ids: string
      readonly driver: string | null
    }
  /** Something was done, and is so: "unbind 0000:02:03.0 from e1000". */
  | { readonly kind: 'repair'; readonly step: string }
  /** The group cannot be kept whole, why, a line each. Said once, and again when it changes. */
  | { readonly kind: 'alarm'; readonly why: readonly string[] }
  /** What the last alarm was about is over. */
  | { readonly kind: 'well' }
