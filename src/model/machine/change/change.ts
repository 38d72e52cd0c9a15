/**
 * Questions of the form "what if": changes of a machine, as people say them.
 *
 *     acs=on@PORT     the port gets ACS (capability and all that isolation needs); acs=off@PORT loses it
 *     move DEVICE PORT      the card (every function of the slot, and all below) goes into another port
 *     add KIND PORT         a new device of a kind goes there; later changes call it "new1", "new2", ...
 *     remove DEVICE         the function is taken out, with all below it
 *     vfs DEVICE N          N virtual functions
 *     bind DEVICE DRIVER    another driver takes it at boot ("none": nobody)
 *     kernel=VERSION  intremap=on|off  iommu=on|off  of the whole machine
 *
 * Addresses are those of the machine before all changes. PORT is a bridge or, where something is plugged
 * in, a root bus: "0000:00".
 */
export type Change =
  | { readonly kind: 'acs'; readonly on: boolean; readonly port: string }
  | { readonly kind: 'move'; readonly device: string; readonly port: string }
  | { readonly kind: 'add'; readonly what: string; readonly port: string }
  | { readonly kind: 'remove'; readonly device: string }
  | { readonly kind: 'vfs'; readonly device: string; readonly count: number }
  | { readonly kind: 'bind'; readonly device: string; readonly driver: string | null }
  | { readonly kind: 'kernel'; readonly version: string }
  | { readonly kind: 'intremap'; readonly on: boolean }
  | { readonly kind: 'iommu'; readonly on: boolean }
