/** The way to the underlay: whether it is there, who has it now, and what would be cut off. Pure. */
import type { AgentConfig } from '../../agent/agent-config.js';
import type { VppConfig } from '../../agent/vpp/config.js';
import type { LinkFacts } from '../../node/facts.js';
import { cutOff, type HostUse } from './host-use.js';
import type { MachineFacts, PciFacts } from './machine.js';
import { type Check, fail, ok, warn } from './types.js';

export interface NicFacts {
  readonly machine: MachineFacts;
  readonly links: ReadonlyMap<string, LinkFacts>;
  readonly use: (link: string) => HostUse;
  /** null = the kernel does not tell. */
  readonly afXdp: boolean | null;
}

/** Drivers that give a device to a process. */
const USER_DRIVERS = ['vfio-pci', 'uio_pci_generic', 'igb_uio'] as const;
const ETHERNET = '0x0200';
/** Drivers of the kernel that DPDK works beside, the device staying with them. */
const BIFURCATED = ['mlx4_core', 'mlx5_core', 'mana'];

export function checkNic(facts: NicFacts, config: AgentConfig, vpp: VppConfig): readonly Check[] {
  const { uplink } = vpp;
  switch (uplink.type) {
    case 'af_packet':
    case 'af_xdp':
      return checkLink(facts, config, uplink.type);
    case 'pci':
      return checkPci(facts, uplink.address, uplink.driver);
    case 'vdev':
      return [ok('NIC', `DPDK makes ${uplink.vdev}; VPP calls it ${uplink.name}`)];
    case 'interface':
      return [
        warn(
          'NIC',
          `VPP must already have an interface ${uplink.name}`,
          'vpp.startup.extra makes one, or vpp.uplink.pci',
        ),
      ];
  }
}

function checkLink(
  facts: NicFacts,
  { uplink, cluster }: AgentConfig,
  driver: 'af_packet' | 'af_xdp',
): readonly Check[] {
  const link = facts.links.get(uplink);
  if (link === undefined) {
    const names = [...facts.links.keys()].filter(
      (name) => name !== 'lo' && !/^(pt|veth|cali|lxc)/.test(name),
    );
    return [fail('NIC', `there is no link ${uplink}; there are ${names.join(', ') || 'none'}`, 'uplink')];
  }
  const checks = [
    inUse(facts, uplink) ?? ok('NIC', `${uplink} by ${driver}, not in use by the host's own stack`),
  ];
  if (link.mtu < cluster.underlayMtu) {
    checks.push(
      warn(
        'NIC',
        `the MTU of ${uplink} is ${link.mtu}; it will be set to underlayMtu ${cluster.underlayMtu}`,
      ),
    );
  }
  if (driver === 'af_xdp') checks.push(checkXdp(facts.afXdp));
  return checks;
}

function checkXdp(afXdp: boolean | null): Check {
  if (afXdp === false)
    return fail(
      'AF_XDP',
      'the kernel has no AF_XDP sockets',
      'CONFIG_XDP_SOCKETS=y, or vpp.uplink: af_packet',
    );
  if (afXdp === null) return warn('AF_XDP', 'whether the kernel has AF_XDP sockets cannot be seen');
  return ok(
    'AF_XDP',
    'the kernel has it; whether the driver copies packets shows when VPP runs (show af_xdp)',
  );
}

function checkPci(facts: NicFacts, address: string, driver: string | null): readonly Check[] {
  const device = facts.machine.pci.get(address);
  if (device === undefined) {
    const nics = [...facts.machine.pci]
      .filter(([, each]) => each.class.startsWith(ETHERNET))
      .map(([at]) => at);
    return [
      fail(
        'NIC',
        `there is no PCI device ${address}; NICs are ${nics.join(', ') || 'none'}`,
        'vpp.uplink.pci',
      ),
    ];
  }
  const checks: Check[] = [];
  if (!device.class.startsWith(ETHERNET)) {
    checks.push(warn('NIC', `${address} is not an Ethernet device (class ${device.class})`));
  }
  const used = device.links.map((link) => inUse(facts, link)).find((check) => check !== null);
  checks.push(used ?? ok('NIC', `${address}, ${held(device)}`));
  checks.push(checkDriver(facts.machine, device, driver));
  return checks;
}

function held({ driver, links }: PciFacts): string {
  if (driver === null) return 'bound to no driver';
  return `bound to ${driver}${links.length === 0 ? '' : ` as ${links.join(', ')}`}`;
}

function checkDriver({ pciDrivers, iommu }: MachineFacts, device: PciFacts, asked: string | null): Check {
  if (device.driver !== null && BIFURCATED.includes(device.driver)) {
    return ok('driver', `${device.driver}, which the device stays with`);
  }
  const wanted = asked ?? USER_DRIVERS.find((name) => pciDrivers.includes(name)) ?? 'vfio-pci';
  if (!pciDrivers.includes(wanted)) return fail('driver', `${wanted} is not loaded`, `modprobe ${wanted}`);
  if (wanted === 'vfio-pci' && !device.iommuGroup) {
    const mend = iommu
      ? 'the device is in no group of the IOMMU: another slot, or uio_pci_generic'
      : 'intel_iommu=on (or amd_iommu) on the kernel’s command line; in a virtual machine without IOMMU: options vfio enable_unsafe_noiommu_mode=1';
    return warn('driver', 'vfio-pci is loaded; the device has no IOMMU', mend);
  }
  return ok('driver', `${wanted} is loaded`);
}

/** null: the host does not use it. */
function inUse(facts: NicFacts, link: string): Check | null {
  const lost = cutOff(facts.use(link));
  if (lost === null) return null;
  return fail(
    'NIC',
    `${link} is in use by the host's own stack: ${lost} would be cut off`,
    'give Pteropus a link of its own',
  );
}
