/**
 * Names of the devices that the kernel's isolation tables know, so that an lspci text without
 * numbers (no -nn) can be judged on a machine that has no pci.ids either. A name that other devices
 * bear too is left out: it would decide nothing.
 *
 * Names are those of the PCI ID Repository (https://pci-ids.ucw.cz, 3-clause BSD licence).
 */
import type { NameIndex } from '../pci/pci-ids.ts'

/** A vendor per unindented line, its devices indented: id, one blank, name. */
const TABLE = `
0014 Loongson Technology LLC
  7a09 PCI-to-PCI Bridge
1002 Advanced Micro Devices, Inc. [AMD/ATI]
  4383 SBx00 Azalia (Intel HDA)
  4384 SBx00 PCI to PCI Bridge
  4385 SBx00 SMBus Controller
  4399 SB7x0/SB8x0/SB9x0 USB OHCI2 Controller
  439c SB7x0/SB8x0/SB9x0 IDE Controller
  439d SB7x0/SB8x0/SB9x0 LPC host controller
10b5 PLX Technology, Inc.
  87b0 PEX PCI Express Switch NT0 Port Virtual Interface
  87b1 PEX PCI Express Switch NT1 Port Virtual Interface
10df Emulex Corporation
  0720 OneConnect NIC (Skyhawk)
10e8 Applied Micro Circuits Corp.
  e004 X-Gene PCIe bridge
1103 HighPoint Technologies, Inc.
  0642 RocketRAID 642L SATA-III Controller (2 eSATA ports + 2 internal SATA ports)
  0645 RocketRAID 644L 4 Port SATA-III Controller (eSATA)
1180 Ricoh Co Ltd
  e476 CardBus bridge
  e832 R5C832 PCIe IEEE 1394 Controller
1283 Integrated Technology Express, Inc.
  8892 IT8892E PCIe to PCI Bridge
  8893 IT8893E PCIe to PCI Bridge
14e4 Broadcom Inc. and subsidiaries
  16d7 BCM57414 NetXtreme-E 10Gb/25Gb RDMA Ethernet Controller
  1750 BCM57508 NetXtreme-E 10Gb/25Gb/40Gb/50Gb/100Gb/200Gb Ethernet
  1751 BCM57504 NetXtreme-E 10Gb/25Gb/40Gb/50Gb/100Gb/200Gb Ethernet
  1752 BCM57502 NetXtreme-E 10Gb/25Gb/40Gb/50Gb Ethernet
17cb Qualcomm Technologies, Inc
  0400 Datacenter Technologies QDF2432 PCI Express Root Port
  0401 Datacenter Technologies QDF2400 PCI Express Root Port
1924 Solarflare Communications
  0903 SFC9120 10G Ethernet Controller
  0923 SFC9140 10/40G Ethernet Controller
  0a03 SFC9220 10/40G Ethernet Controller
19a2 Emulex Corporation
  0710 OneConnect 10Gb NIC (be3)
1b21 ASMedia Technology Inc.
  1080 ASM1083/1085 PCIe to PCI Bridge
1b4b Marvell Technology Group Ltd.
  9120 88SE9120 SATA 6Gb/s Controller
  9123 88SE9123 PCIe SATA 6.0 Gb/s controller
  9125 88SE9125 PCIe SATA 6.0 Gb/s controller
  9128 88SE9128 PCIe SATA 6 Gb/s RAID controller
  9130 88SE9128 PCIe SATA 6 Gb/s RAID controller with HyperDuo
  9170 88SE9170 PCIe 2.0 x1 2-port SATA 6 Gb/s Controller
  9172 88SE9172 SATA 6Gb/s Controller
  9182 88SE9182 PCIe 2.0 x2 2-port SATA 6 Gb/s Controller
  9183 88SS9183 PCIe SSD Controller
  91a0 88SE912x SATA 6Gb/s Controller [IDE mode]
  9215 88SE9215 PCIe 2.0 x1 4-port SATA 6 Gb/s Controller
  9220 88SE9220 PCIe 2.0 x2 2-port SATA 6 Gb/s RAID Controller
  9230 88SE9230 PCIe 2.0 x2 4-port SATA 6 Gb/s RAID Controller
  9235 88SE9235 PCIe 2.0 x2 4-port SATA 6 Gb/s Controller
1c28 Lite-On IT Corp. / Plextor
  0122 M6e PCI Express SSD [Marvell 88SS9183]
1d17 Zhaoxin
  0710 ZX-100/ZX-200 PCI Express Root Port
  0716 ZX-D PCI Express Root Port
  0717 KX-5000/KX-6000/KX-6000G Express Root Port
  0721 ZX-200 Downstream Port of PCI Express Switch
  3038 ZX-100/ZX-200/KX-6000/KX-6000G Standard Universal PCI to USB Host Controller
  3104 ZX-100/ZX-200/KX-6000/KX-6000G Standard Enhanced PCI to USB Host Controller
  9083 ZX-100/ZX-200/KX-6000/KX-6000G StorX AHCI Controller
1dbf Guizhou Huaxintong Semiconductor Technology Co., Ltd
  0401 StarDragon4800 PCI Express Root Port
1def Ampere Computing, LLC
  e005 eMAG PCI Express Root Port 0
  e006 eMAG PCI Express Root Port 1
  e007 eMAG PCI Express Root Port 2
  e008 eMAG PCI Express Root Port 3
  e009 eMAG PCI Express Root Port 4
  e00a eMAG PCI Express Root Port 5
  e00b eMAG PCI Express Root Port 6
  e00c eMAG PCI Express Root Port 7
8086 Intel Corporation
  105e 82571EB/82571GB Gigabit Ethernet Controller D0/D1 (copper applications)
  10a7 82575EB Gigabit Network Connection
  10a9 82575EB Gigabit Backplane Connection
  10c6 82598EB 10-Gigabit AF Dual Port Network Connection
  10c9 82576 Gigabit Network Connection
  10d9 82571EB Dual Port Gigabit Mezzanine Adapter
  10db 82598EB 10-Gigabit Dual Port Network Connection
  10f7 10 Gigabit BR KX4 Dual Port Network Connection
  10f8 82599 10 Gigabit Dual Port Backplane Connection
  10f9 82599 10 Gigabit Dual Port Network Connection
  10fb 82599ES 10-Gigabit SFI/SFP+ Network Connection
  1507 Ethernet Express Module X520-P2
  1509 82580 Gigabit Network Connection
  150a 82576NS Gigabit Network Connection
  150d 82576 Gigabit Backplane Connection
  150f 82580 Gigabit Fiber Network Connection
  1510 82580 Gigabit Backplane Connection
  1511 82580 Gigabit SFP Connection
  1514 Ethernet X520 10GbE Dual Port KX4 Mezz
  1518 82576NS SerDes Gigabit Network Connection
  151c 82599 10 Gigabit TN Network Connection
  1521 I350 Gigabit Network Connection
  1522 I350 Gigabit Fiber Network Connection
  1523 I350 Gigabit Backplane Connection
  1524 I350 Gigabit Connection
  1529 82599 10 Gigabit Dual Port Network Connection with FCoE
  152a 82599 10 Gigabit Dual Port Backplane Connection with FCoE
  154d Ethernet 10G 2P X520 Adapter
  1558 Ethernet Converged Network Adapter X520-Q1
  15b7 Ethernet Connection (2) I219-LM
  15b8 Ethernet Connection (2) I219-V
  1c10 6 Series/C200 Series Chipset Family PCI Express Root Port 1
  1c12 6 Series/C200 Series Chipset Family PCI Express Root Port 2
  1c14 6 Series/C200 Series Chipset Family PCI Express Root Port 3
  1c16 6 Series/C200 Series Chipset Family PCI Express Root Port 4
  1c18 6 Series/C200 Series Chipset Family PCI Express Root Port 5
  1c1a 6 Series/C200 Series Chipset Family PCI Express Root Port 6
  1c1c 6 Series/C200 Series Chipset Family PCI Express Root Port 7
  1c1e 6 Series/C200 Series Chipset Family PCI Express Root Port 8
  1e10 7 Series/C216 Chipset Family PCI Express Root Port 1
  1e12 7 Series/C210 Series Chipset Family PCI Express Root Port 2
  1e14 7 Series/C210 Series Chipset Family PCI Express Root Port 3
  1e16 7 Series/C216 Chipset Family PCI Express Root Port 4
  1e18 7 Series/C210 Series Chipset Family PCI Express Root Port 5
  1e1a 7 Series/C210 Series Chipset Family PCI Express Root Port 6
  1e1c 7 Series/C210 Series Chipset Family PCI Express Root Port 7
  1e1e 7 Series/C210 Series Chipset Family PCI Express Root Port 8
  201d Volume Management Device NVMe RAID Controller
  244e 82801 PCI Bridge
  3b42 5 Series/3400 Series Chipset PCI Express Root Port 1
  3b44 5 Series/3400 Series Chipset PCI Express Root Port 2
  3b46 5 Series/3400 Series Chipset PCI Express Root Port 3
  3b48 5 Series/3400 Series Chipset PCI Express Root Port 4
  3b4a 5 Series/3400 Series Chipset PCI Express Root Port 5
  3b4c 5 Series/3400 Series Chipset PCI Express Root Port 6
  3b4e 5 Series/3400 Series Chipset PCI Express Root Port 7
  3b50 5 Series/3400 Series Chipset PCI Express Root Port 8
  7d0b Volume Management Device NVMe RAID Controller Intel Corporation
  8c10 8 Series/C220 Series Chipset Family PCI Express Root Port #1
  8c12 8 Series/C220 Series Chipset Family PCI Express Root Port #2
  8c14 8 Series/C220 Series Chipset Family PCI Express Root Port #3
  8c16 8 Series/C220 Series Chipset Family PCI Express Root Port #4
  8c18 8 Series/C220 Series Chipset Family PCI Express Root Port #5
  8c1a 8 Series/C220 Series Chipset Family PCI Express Root Port #6
  8c1c 8 Series/C220 Series Chipset Family PCI Express Root Port #7
  8c1e 8 Series/C220 Series Chipset Family PCI Express Root Port #8
  8c90 9 Series Chipset Family PCI Express Root Port 1
  8c92 9 Series Chipset Family PCI Express Root Port 2
  8c94 9 Series Chipset Family PCI Express Root Port 3
  8c96 9 Series Chipset Family PCI Express Root Port 4
  8c98 9 Series Chipset Family PCI Express Root Port 5
  8c9a 9 Series Chipset Family PCI Express Root Port 6
  8c9c 9 Series Chipset Family PCI Express Root Port 7
  8c9e 9 Series Chipset Family PCI Express Root Port 8
  8d10 C610/X99 series chipset PCI Express Root Port #1
  8d12 C610/X99 series chipset PCI Express Root Port #2
  8d14 C610/X99 series chipset PCI Express Root Port #3
  8d16 C610/X99 series chipset PCI Express Root Port #4
  8d18 C610/X99 series chipset PCI Express Root Port #5
  8d1a C610/X99 series chipset PCI Express Root Port #6
  8d1c C610/X99 series chipset PCI Express Root Port #7
  9c10 8 Series PCI Express Root Port 1
  9c12 8 Series PCI Express Root Port 2
  9c14 8 Series PCI Express Root Port 3
  9c16 8 Series PCI Express Root Port 4
  9c18 8 Series PCI Express Root Port 5
  9c1a 8 Series PCI Express Root Port 6
  9c90 Wildcat Point-LP PCI Express Root Port #1
  9c92 Wildcat Point-LP PCI Express Root Port #2
  9c94 Wildcat Point-LP PCI Express Root Port #3
  9c96 Wildcat Point-LP PCI Express Root Port #4
  9c98 Wildcat Point-LP PCI Express Root Port #5
  9c9a Wildcat Point-LP PCI Express Root Port #6
  9d10 Sunrise Point-LP PCI Express Root Port #1
  9d11 Sunrise Point-LP PCI Express Root Port #2
  9d12 Sunrise Point-LP PCI Express Root Port #3
  9d13 Sunrise Point-LP PCI Express Root Port #4
  9d14 Sunrise Point-LP PCI Express Root Port #5
  9d15 Sunrise Point-LP PCI Express Root Port #6
  9d16 Sunrise Point-LP PCI Express Root Port #7
  9d17 Sunrise Point-LP PCI Express Root Port #8
  9d18 Sunrise Point-LP PCI Express Root Port #9
  9d19 Sunrise Point-LP PCI Express Root Port #10
  9d1a Sunrise Point-LP PCI Express Root Port #11
  a110 100 Series/C230 Series Chipset Family PCI Express Root Port #1
  a111 100 Series/C230 Series Chipset Family PCI Express Root Port #2
  a112 100 Series/C230 Series Chipset Family PCI Express Root Port #3
  a113 100 Series/C230 Series Chipset Family PCI Express Root Port #4
  a114 100 Series/C230 Series Chipset Family PCI Express Root Port #5
  a115 100 Series/C230 Series Chipset Family PCI Express Root Port #6
  a116 100 Series/C230 Series Chipset Family PCI Express Root Port #7
  a117 100 Series/C230 Series Chipset Family PCI Express Root Port #8
  a118 100 Series/C230 Series Chipset Family PCI Express Root Port #9
  a119 100 Series/C230 Series Chipset Family PCI Express Root Port #10
  a11a 100 Series/C230 Series Chipset Family PCI Express Root Port #11
  a11b 100 Series/C230 Series Chipset Family PCI Express Root Port #12
  a11c 100 Series/C230 Series Chipset Family PCI Express Root Port #13
  a11d 100 Series/C230 Series Chipset Family PCI Express Root Port #14
  a11e 100 Series/C230 Series Chipset Family PCI Express Root Port #15
  a11f 100 Series/C230 Series Chipset Family PCI Express Root Port #16
  a167 100 Series/C230 Series Chipset Family PCI Express Root Port #17
  a168 100 Series/C230 Series Chipset Family PCI Express Root Port #18
  a169 100 Series/C230 Series Chipset Family PCI Express Root Port #19
  a16a 100 Series/C230 Series Chipset Family PCI Express Root Port #20
  a290 200 Series PCH PCI Express Root Port #1
  a291 200 Series PCH PCI Express Root Port #2
  a292 200 Series PCH PCI Express Root Port #3
  a293 200 Series PCH PCI Express Root Port #4
  a294 200 Series PCH PCI Express Root Port #5
  a295 200 Series PCH PCI Express Root Port #6
  a296 200 Series PCH PCI Express Root Port #7
  a297 200 Series PCH PCI Express Root Port #8
  a298 200 Series PCH PCI Express Root Port #9
  a299 200 Series PCH PCI Express Root Port #10
  a29a 200 Series PCH PCI Express Root Port #11
  a29b 200 Series PCH PCI Express Root Port #12
  a29c 200 Series PCH PCI Express Root Port #13
  a29d 200 Series PCH PCI Express Root Port #14
  a29e 200 Series PCH PCI Express Root Port #15
  a29f 200 Series PCH PCI Express Root Port #16
  a2e7 200 Series PCH PCI Express Root Port #17
  a2e8 200 Series PCH PCI Express Root Port #18
  a2e9 200 Series PCH PCI Express Root Port #19
  a2ea 200 Series PCH PCI Express Root Port #20
  a2eb 200 Series PCH PCI Express Root Port #21
  a2ec 200 Series PCH PCI Express Root Port #22
  a2ed 200 Series PCH PCI Express Root Port #23
  a2ee 200 Series PCH PCI Express Root Port #24
`

/** Looks in the given index first, then in the built-in table. */
export function withKnownNames(names: NameIndex | null): NameIndex {
  const table = readTable()
  return {
    resolve: (name) => names?.resolve(name) ?? resolveKnown(table, name),
    classCode: (name) => names?.classCode(name) ?? null,
  }
}

interface KnownVendor {
  readonly id: number
  readonly name: string
  readonly devices: Map<string, number>
}

function readTable(): KnownVendor[] {
  const vendors: KnownVendor[] = []
  for (const line of TABLE.split('\n')) {
    if (line === '') continue
    const [id = '', ...words] = line.trim().split(' ')
    const name = words.join(' ')
    if (line.startsWith(' ')) vendors.at(-1)?.devices.set(name, parseInt(id, 16))
    else vendors.push({ id: parseInt(id, 16), name, devices: new Map() })
  }
  return vendors
}

/** The device is null when only the vendor is certain: it may have a name that is not in the table. */
function resolveKnown(
  table: readonly KnownVendor[],
  name: string,
): { vendor: number; device: number | null } | null {
  const vendor = table.find((entry) => name.startsWith(`${entry.name} `))
  if (vendor === undefined) return null
  return {
    vendor: vendor.id,
    device: vendor.devices.get(name.slice(vendor.name.length + 1)) ?? null,
  }
}
