import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DeviceUsage } from '../../isolation/live-host.ts'
import { net, NOBODY, type Paper, paperKernel, papers } from './paper-kernel.case.ts'
import { normalized } from './routes.ts'
import { readUsage } from './usage.ts'

const CARD = '0000:03:00.0'
const CARD_DIR = `pci0000:00/0000:00:1c.1/${CARD}/net`
const OTHER = '0000:04:00.0'
const OTHER_DIR = `pci0000:00/0000:00:1c.2/${OTHER}/net`

function usageOf(parts: readonly Paper[], ssh: string | null = null): DeviceUsage {
  const kernel = paperKernel(papers(...parts))
  const [usage] = readUsage(kernel, [CARD], { ...NOBODY, sshConnection: ssh })
  if (usage === undefined) throw new Error('no usage')
  return usage
}

function usesOf(parts: readonly Paper[], ssh: string | null = null): readonly string[] {
  const { networks } = usageOf(parts, ssh)
  if (!networks.known) throw new Error(networks.why)
  return networks.value.map(({ name, use, detail }) => `${name} ${use} ${detail}`.trim())
}

const swapped = (address: string): string =>
  address
    .split('.')
    .reverse()
    .map((part) => Number(part).toString(16).toUpperCase().padStart(2, '0'))
    .join('')

/** "eth0 192.168.1.0/255.255.255.0 via 0.0.0.0" */
function routes(...lines: readonly (readonly [string, string, string, string])[]): Paper {
  const rows = lines.map(
    ([name, to, mask, via]) =>
      `${name}\t${swapped(to)}\t${swapped(via)}\t0001\t0\t0\t0\t${swapped(mask)}\t0\t0\t0\n`,
  )
  return {
    files: {
      '/proc/net/route': `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n${rows.join('')}`,
    },
  }
}

function local(...addresses: readonly string[]): Paper {
  const leaves = addresses.map((address) => `     |-- ${address}\n        /32 host LOCAL\n`)
  return { files: { '/proc/net/fib_trie': `Local:\n  +-- 0.0.0.0/0 2 0 2\n${leaves.join('')}` } }
}

const LAN = '255.255.255.0'
const HOME = [
  routes(['eth0', '0.0.0.0', '0.0.0.0', '192.168.1.1'], ['eth0', '192.168.1.0', LAN, '0.0.0.0']),
  local('127.0.0.1', '192.168.1.10'),
]

function tcp(...rows: readonly (readonly [string, string, string])[]): Paper {
  const lines = rows.map(
    ([here, there, state], n) => `   ${String(n)}: ${here} ${there} ${state} 0:0\n`,
  )
  return { files: { '/proc/net/tcp': `  sl  local_address rem_address   st\n${lines.join('')}` } }
}
const LISTENING = ['00000000:0016', '00000000:0000', '0A'] as const

describe('networks of a function', () => {
  it('are none without an interface, and only up without addresses', () => {
    expect(usesOf([])).toEqual([])
    expect(usesOf([net('eth0', CARD_DIR)])).toEqual(['eth0 up'])
    expect(usesOf([net('eth0', CARD_DIR, { flags: '0x1002\n' })])).toEqual([])
  })

  it('have addresses, routes and the default route', () => {
    expect(usesOf([net('eth0', CARD_DIR), ...HOME])).toEqual([
      'eth0 address 192.168.1.10',
      'eth0 default default',
      'eth0 route 192.168.1.0/24',
    ])
    expect(usesOf([net('eth1', CARD_DIR), ...HOME])).toEqual(['eth1 up'])
  })

  it('have IPv6 addresses and routes, of which link-local ones say nothing', () => {
    const files = {
      '/proc/net/if_inet6': [
        'fd0000000000000000000000000000a1 02 40 00 80     eth0\n',
        'fe800000000000005054fffffe123456 02 40 20 80     eth0\n',
        '00000000000000000000000000000001 01 80 10 80       lo\n',
      ].join(''),
      '/proc/net/ipv6_route': [
        'fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n',
        'fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n',
        '00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n',
        '00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n',
        'fd0000000000000000000000000000a1 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001     eth0\n',
      ].join(''),
    }
    expect(usesOf([net('eth0', CARD_DIR), { files }])).toEqual([
      'eth0 address fd00:0000:0000:0000:0000:0000:0000:00a1',
      'eth0 route fd00:0000:0000:0000:0000:0000:0000:0000/64',
      'eth0 default default',
    ])
  })

  it('carry what is on bonds, bridges and VLANs above', () => {
    const parts = [
      net('eth0', CARD_DIR, { upper_bond0: '' }),
      { files: { '/sys/class/net/bonding_masters': 'bond0\n' } },
      net('bond0', 'virtual/net', { 'bonding/mode': '', 'upper_bond0.7': '' }),
      net('bond0.7', 'virtual/net', { upper_br0: '' }),
      net('br0', 'virtual/net', { 'bridge/stp_state': '' }),
      routes(['br0', '0.0.0.0', '0.0.0.0', '10.0.0.1'], ['br0', '10.0.0.0', LAN, '0.0.0.0']),
      local('10.0.0.5'),
    ]
    expect(usesOf(parts, '10.0.0.9 50022 10.0.0.5 22')).toEqual([
      'eth0 port bond bond0',
      'eth0 address 10.0.0.5 (through br0)',
      'eth0 default default (through br0)',
      'eth0 route 10.0.0.0/24 (through br0)',
      'eth0 login from 10.0.0.9 (through br0)',
    ])
  })

  it('are unknown when a tables of the kernel cannot be read', () => {
    const files = { '/proc/net/route': '!EACCES' }
    expect(usageOf([net('eth0', CARD_DIR), { files }]).networks.known).toBe(false)
  })

  it('are unknown for a card on a driver whose interface is in another namespace', () => {
    const dir = `/sys/bus/pci/devices/${CARD}`
    const card = (driver: string): Paper => ({
      files: { [`${dir}/class`]: '0x020000\n' },
      links: { [`${dir}/driver`]: `../../../bus/pci/drivers/${driver}` },
    })
    expect(usageOf([card('iavf')]).networks.known).toBe(false)
    expect(usesOf([card('vfio-pci')])).toEqual([])
    const driver = { [`${dir}/virtio0/driver`]: '../../virtio_net' }
    expect(usageOf([card('virtio-pci'), { links: driver }]).networks.known).toBe(false)
    // What is below it has no driver, so it cannot have an interface anywhere.
    expect(usesOf([card('virtio-pci'), { files: { [`${dir}/virtio0/status`]: '1' } }])).toEqual([])
  })
})

describe('the login of the caller', () => {
  const card = net('eth0', CARD_DIR)

  it('is found by SSH_CONNECTION', () => {
    expect(usesOf([card, ...HOME], '192.168.1.20 50022 192.168.1.10 22')).toContain(
      'eth0 login from 192.168.1.20',
    )
    expect(usesOf([card, ...HOME], '10.9.9.9 50022 127.0.0.1 22').join()).not.toContain('login')
  })

  it('is found in the programs above, since sudo takes it out of the environment', () => {
    const above: Paper = {
      files: {
        '/proc/self/status': 'Name:\tnode\nPPid:\t40\n',
        '/proc/40/status': 'Name:\tsudo\nPPid:\t30\n',
        '/proc/40/environ': 'PATH=/bin\0SUDO_UID=1000\0',
        '/proc/30/status': 'Name:\tbash\nPPid:\t1\n',
        '/proc/30/environ': 'HOME=/\0SSH_CONNECTION=192.168.1.20 50022 192.168.1.10 22\0',
      },
    }
    expect(usesOf([card, ...HOME, above])).toContain('eth0 login from 192.168.1.20')
  })

  it('may be any open connection to the SSH server when nothing else tells', () => {
    const session = tcp(LISTENING, [
      `${swapped('192.168.1.10')}:0016`,
      `${swapped('192.168.1.7')}:C366`,
      '01',
    ])
    expect(usesOf([card, ...HOME, session])).toContain(
      'eth0 login from 192.168.1.7, which may be yours',
    )
    // Somebody else's, when the caller's own is known.
    const own = usesOf([card, ...HOME, session], '10.0.0.1 1 127.0.0.1 22')
    expect(own.join()).not.toContain('login')
  })

  it('is found by IPv6 addresses in any spelling, mapped ones, and by zone', () => {
    const files = {
      '/proc/net/if_inet6': 'fd0000000000000000000000000000a1 02 40 00 80     eth0\n',
    }
    expect(usesOf([card, { files }], 'fd00::9 50022 FD00::A1 22').join()).toContain('login')
    expect(usesOf([card, ...HOME], '::ffff:1.2.3.4 1 ::ffff:192.168.1.10 22').join()).toContain(
      'login',
    )
    expect(usesOf([card], 'fe80::1%eth0 50022 fe80::2%eth0 22')).toEqual([
      'eth0 login from fe80::1%eth0',
    ])
    expect(usesOf([net('eth1', CARD_DIR)], 'fe80::1%eth1 1 fe80::2%eth1 22')[0]).toContain('login')
  })

  it('is unknown for cards in use when it came over a tunnel or a software switch', () => {
    const tunnel = [
      net('wg0', 'virtual/net'),
      routes(
        ['wg0', '10.8.0.0', LAN, '0.0.0.0'],
        ['eth0', '0.0.0.0', '0.0.0.0', '192.168.1.1'],
        ['eth0', '192.168.1.0', LAN, '0.0.0.0'],
      ),
      local('10.8.0.2', '192.168.1.10'),
    ]
    const ssh = '10.8.0.1 50022 10.8.0.2 22'
    expect(usageOf([card, ...tunnel], ssh).networks.known).toBe(false)
    expect(usesOf([net('eth9', CARD_DIR), ...tunnel], ssh)).toEqual(['eth9 up'])
  })
})

describe('ways to log in', () => {
  const both = [net('eth0', CARD_DIR), net('eth1', OTHER_DIR)]
  const addressed = [
    routes(['eth0', '192.168.1.0', LAN, '0.0.0.0'], ['eth1', '10.0.0.0', LAN, '0.0.0.0']),
    local('192.168.1.10', '10.0.0.10'),
  ]

  it('are interfaces with addresses while an SSH server listens', () => {
    expect(usageOf([...both, ...addressed, tcp(LISTENING)]).logins).toEqual({
      known: true,
      value: { here: ['eth0'], elsewhere: ['eth1'] },
    })
  })

  it('are serial consoles too, of which the screen is none', () => {
    const serial: Paper = {
      files: { '/sys/class/tty/console/active': 'tty0 ttyS0 ttyS4\n' },
      links: {
        '/sys/class/tty/ttyS0': '../../devices/pnp0/00:04/tty/ttyS0',
        '/sys/class/tty/ttyS4': `../../devices/pci0000:00/${CARD}/tty/ttyS4`,
      },
    }
    expect(usageOf([serial]).logins).toEqual({
      known: true,
      value: { here: ['ttyS4'], elsewhere: ['ttyS0'] },
    })
  })

  it('are none without a server, with one on loopback, or by virtual interfaces', () => {
    const none = { known: true, value: { here: [], elsewhere: [] } }
    expect(usageOf([...both, ...addressed]).logins).toEqual(none)
    const loopback = tcp([`${swapped('127.0.0.1')}:0016`, '00000000:0000', '0A'])
    expect(usageOf([...both, ...addressed, loopback]).logins).toEqual(none)
    const docker = [
      net('docker0', 'virtual/net'),
      routes(['docker0', '172.17.0.0', '255.255.0.0', '0.0.0.0']),
      local('172.17.0.1'),
      tcp(LISTENING),
    ]
    expect(usageOf(docker).logins).toEqual(none)
  })
})

describe('normalized()', () => {
  it('gives one spelling to every spelling of an IPv6 address', () => {
    const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(groups, fc.nat(7), fc.nat(7), (values, from, length) => {
        const end = Math.min(8, from + length)
        const zeroed = values.map((value, at) => (at >= from && at < end ? 0 : value))
        const hex = zeroed.map((value) => value.toString(16))
        const short =
          end - from < 1
            ? hex.join(':')
            : `${hex.slice(0, from).join(':')}::${hex.slice(end).join(':')}`
        const full = zeroed.map((value) => value.toString(16).padStart(4, '0')).join(':')
        expect(normalized(short.toUpperCase())).toBe(full)
      }),
    )
  })

  it('refuses what is no address', () => {
    for (const text of ['', 'eth0', '1:2', 'g::1', '1:2:3:4:5:6:7:8:9']) {
      expect(normalized(text)).toBeNull()
    }
  })
})
