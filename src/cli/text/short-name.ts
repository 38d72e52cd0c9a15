/**
 * Device names for narrow places. The names of pci.ids begin with the vendor's full legal name, which
 * fills half a line and tells the least: "Advanced Micro Devices, Inc. [AMD] Matisse" is "AMD Matisse".
 */

/** A legal form followed by the vendor's own short name in brackets. */
const OWN_SHORT_NAME = /^[^[]*\b(?:Inc\.?|Corporation|Corp\.?|Ltd\.?|Limited|GmbH) \[([^\]]+)\] /

/** Legal forms, with the words that usually stand before them. */
const LEGAL_FORM =
  /(?:,? (?:Electronics|Semiconductors?|Technology|Technologies|Group|Networks))?,? (?:Corporation|Corp\.?|Incorporated|Inc\.?|Co\.?,? ?Ltd\.?|Ltd\.?|Limited|GmbH|AG)(?= )/

/** The name with its vendor abbreviated; unchanged when the vendor has no legal form in it. */
export function shortName(name: string): string {
  const own = OWN_SHORT_NAME.exec(name)
  if (own !== null) return `${own[1] ?? ''} ${name.slice(own[0].length)}`
  return name.replace(LEGAL_FORM, '')
}
