/** Small texts in lspci's forms, written by hand, for the tests of this folder. */
import type { NameIndex } from '../pci/pci-ids.ts'

const STATUS = `\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-`

/** A host bridge, a root port with ACS, a NIC with two functions behind it, one with SR-IOV, and an LPC bridge. */
export const VERBOSE: string = `00:00.0 Host bridge [0600]: Intel Corporation Device [8086:8a12] (rev 03)
\tSubsystem: Dell Device [1028:08b0]
\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
\tStatus: Cap- 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
\tIOMMU group: 0

00:1c.0 PCI bridge [0604]: Intel Corporation Cannon Point-LP PCI Express Root Port #1 [8086:9db8] (rev f0) (prog-if 00 [Normal decode])
${STATUS}
\tLatency: 0, Cache Line Size: 64 bytes
\tInterrupt: pin A routed to IRQ 123
\tIOMMU group: 1
\tBus: primary=00, secondary=01, subordinate=03, sec-latency=0
\tMemory behind bridge: 8f000000-900fffff [size=17M] [32-bit]
\tSecondary status: 66MHz- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- <SERR- <PERR-
\tBridgeCtl: Parity- SERR+ NoISA- VGA- VGA16+ MAbort- >Reset- FastB2B-
\t\tPriDiscTmr- SecDiscTmr- DiscTmrStat- DiscTmrSERREn-
\tCapabilities: [40] Express (v2) Root Port (Slot+), IntMsgNum 0
\t\tDevCap:\tMaxPayload 256 bytes, PhantFunc 0
\t\t\tExtTag- RBE+ TEE-IO-
\t\tDevCtl:\tCorrErr- NonFatalErr- FatalErr- UnsupReq-
\t\t\tRlxdOrd- ExtTag- PhantFunc- AuxPwr- NoSnoop-
\tCapabilities: [80] MSI: Enable+ Count=1/1 Maskable- 64bit-
\t\tAddress: fee00238  Data: 0000
\tCapabilities: [90] Subsystem: Dell Device [1028:08b0]
\tCapabilities: [100 v1] Advanced Error Reporting
\t\tUESta:\tDLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt- UnxCmplt- RxOF- MalfTLP- ECRC- UnsupReq- ACSViol-
\tCapabilities: [140 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\tKernel driver in use: pcieport

01:00.0 Ethernet controller [0200]: Intel Corporation I350 Gigabit Network Connection [8086:1521] (rev 01)
\tSubsystem: Intel Corporation Device [8086:0001]
${STATUS}
\tLatency: 0, Cache Line Size: 64 bytes
\tIOMMU group: 13
\tCapabilities: [40] Power Management version 3
\t\tFlags: PMEClk- DSI+ D1- D2- AuxCurrent=0mA PME(D0+,D1-,D2-,D3hot+,D3cold+)
\t\tStatus: D0 NoSoftRst+ PME-Enable- DSel=0 DScale=1 PME-
\tCapabilities: [a0] Express (v2) Endpoint, MSI 00
\t\tDevCap:\tMaxPayload 512 bytes, PhantFunc 0, Latency L0s <512ns, L1 <64us
\t\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 0.000W
\t\tDevCtl:\tCorrErr- NonFatalErr- FatalErr- UnsupReq-
\t\t\tRlxdOrd+ ExtTag- PhantFunc- AuxPwr- NoSnoop- FLReset-
\tCapabilities: [150 v1] Alternative Routing-ID Interpretation (ARI)
\t\tARICap:\tMFVC- ACS-, Next Function: 1
\tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
\t\tIOVCap:\tMigration-, Interrupt Message Number: 000
\t\tIOVCtl:\tEnable+ Migration- Interrupt- MSE+ ARIHierarchy+
\t\tIOVSta:\tMigration-
\t\tInitial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00
\t\tVF offset: 128, stride: 4, Device ID: 1520
\t\tSupported Page Size: 00000553, System Page Size: 00000001
\tKernel driver in use: igb
\tKernel modules: igb

01:00.1 Ethernet controller [0200]: Intel Corporation I350 Gigabit Network Connection [8086:1521] (rev 01)
\tSubsystem: Intel Corporation Device [8086:0001]
${STATUS}
\tIOMMU group: 14
\tCapabilities: [40] Power Management version 3
\tCapabilities: [a0] Express (v2) Endpoint, MSI 00
\t\tDevCap:\tMaxPayload 512 bytes, PhantFunc 0, Latency L0s <512ns, L1 <64us
\t\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 0.000W
\tKernel modules: igb

01:10.0 Ethernet controller [0200]: Intel Corporation I350 Ethernet Controller Virtual Function [8086:1520] (rev 01)
\tSubsystem: Intel Corporation Device [8086:0001]
${STATUS}
\tIOMMU group: 15
\tCapabilities: [a0] Express (v2) Endpoint, MSI 00
\t\tDevCap:\tMaxPayload 128 bytes, PhantFunc 0, Latency L0s <64ns, L1 <1us
\t\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE- FLReset+ SlotPowerLimit 0.000W
\tKernel driver in use: igbvf

`

/** The same root port as an ordinary user sees it. */
export const DENIED = `00:1c.0 PCI bridge [0604]: Intel Corporation Cannon Point-LP PCI Express Root Port #1 [8086:9db8] (rev f0) (prog-if 00 [Normal decode])
\tFlags: bus master, fast devsel, latency 0, IRQ 123, IOMMU group 1
\tBus: primary=00, secondary=01, subordinate=03, sec-latency=0
\tMemory behind bridge: 8f000000-900fffff [size=17M] [32-bit]
\tCapabilities: <access denied>
\tKernel driver in use: pcieport

`

const IDS: Readonly<Record<string, { vendor: number; device: number | null }>> = {
  'Intel Corporation Cannon Point-LP PCI Express Root Port #1': { vendor: 0x8086, device: 0x9db8 },
  'Intel Corporation HD Audio': { vendor: 0x8086, device: null },
  'Dell Device 08b0': { vendor: 0x1028, device: 0x08b0 },
  'Intel Corporation Device 8a12': { vendor: 0x8086, device: 0x8a12 },
  'Intel Corp. Device 2448': { vendor: 0x8086, device: 0x2448 },
}

/** A pci.ids with five devices and two classes. */
export const NAMES: NameIndex = {
  resolve: (name) => IDS[name] ?? null,
  classCode: (name) => (name === 'Signal processing controller' ? 0x1180 : null),
}
