/** What the machine is like as far as VPP cares: read from /proc, /sys and /boot; nothing is changed. `root`: a test's own folder. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { capabilitiesOf } from '../../node/facts.js';

export interface PageFacts {
  readonly total: number;
  readonly free: number;
}

export interface PciFacts {
  /** Kernel driver it is bound to; null = none. */
  readonly driver: string | null;
  /** Links it has in the kernel. */
  readonly links: readonly string[];
  readonly iommuGroup: boolean;
  /** `0x020000` = Ethernet. */
  readonly class: string;
}

export interface MachineFacts {
  /** `x64`, `arm64`, … */
  readonly architecture: string;
  readonly cpuFlags: ReadonlySet<string>;
  /** Cores that are online. */
  readonly cores: readonly number[];
  /** Those the kernel gives to nobody by itself (isolcpus). */
  readonly isolated: readonly number[];
  /** Bytes. */
  readonly memoryAvailable: number;
  /** `2M`, `1G` → pages of that size. */
  readonly hugepages: ReadonlyMap<string, PageFacts>;
  readonly capabilities: bigint;
  readonly vhostNet: boolean;
  readonly tun: boolean;
  /** Kernel drivers that can be bound to PCI devices now. */
  readonly pciDrivers: readonly string[];
  /** The kernel's IOMMU is on. */
  readonly iommu: boolean;
  readonly pci: ReadonlyMap<string, PciFacts>;
  /** Whether the kernel has BPF classifiers (CONFIG_NET_CLS_BPF); null = it does not tell. */
  readonly classifiers: boolean | null;
}

export function readMachine(root = '/', architecture: string = process.arch): MachineFacts {
  const text = (path: string): string => readText(join(root, path)) ?? '';
  const devices = join(root, 'sys/bus/pci/devices');
  return {
    architecture,
    cpuFlags: new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text('proc/cpuinfo'))?.[1]?.split(' ') ?? []),
    cores: listOf(text('sys/devices/system/cpu/online').trim()),
    isolated: listOf(text('sys/devices/system/cpu/isolated').trim()),
    memoryAvailable: Number(/^MemAvailable:\s*(\d+) kB$/m.exec(text('proc/meminfo'))?.[1] ?? 0) * 1024,
    hugepages: hugepagesOf(join(root, 'sys/kernel/mm/hugepages')),
    capabilities: capabilitiesOf(text('proc/self/status')),
    vhostNet: existsSync(join(root, 'dev/vhost-net')),
    tun: existsSync(join(root, 'dev/net/tun')),
    pciDrivers: namesIn(join(root, 'sys/bus/pci/drivers')),
    iommu: namesIn(join(root, 'sys/kernel/iommu_groups')).length > 0,
    pci: new Map(namesIn(devices).map((address) => [address, pciOf(join(devices, address))])),
    classifiers: configured(root, 'CONFIG_NET_CLS_BPF'),
  };
}

function pciOf(folder: string): PciFacts {
  return {
    driver: linkName(join(folder, 'driver')),
    links: namesIn(join(folder, 'net')),
    iommuGroup: linkName(join(folder, 'iommu_group')) !== null,
    class: readText(join(folder, 'class'))?.trim() ?? '',
  };
}

/** As the kernel writes a list of cores: `0-3,8`. */
export function listOf(text: string): readonly number[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

function hugepagesOf(folder: string): ReadonlyMap<string, PageFacts> {
  const sizes = new Map<string, PageFacts>();
  for (const name of namesIn(folder)) {
    const kibibytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
    const size = { 2048: '2M', 1048576: '1G' }[kibibytes];
    if (size === undefined) continue;
    const number = (file: string): number => Number(readText(join(folder, name, file)) ?? 0);
    sizes.set(size, { total: number('nr_hugepages'), free: number('free_hugepages') });
  }
  return sizes;
}

/** From the kernel's configuration, where the distribution keeps one to read, or the kernel tells it itself. */
function configured(root: string, option: string): boolean | null {
  const release = readText(join(root, 'proc/sys/kernel/osrelease'))?.trim() ?? '';
  for (const path of [`boot/config-${release}`, `lib/modules/${release}/config`]) {
    const text = readText(join(root, path));
    if (text !== null) return new RegExp(`^${option}=[ym]$`, 'm').test(text);
  }
  const packed = readBytes(join(root, 'proc/config.gz'));
  return packed === null ? null : new RegExp(`^${option}=[ym]$`, 'm').test(gunzipSync(packed).toString());
}

function readBytes(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

function linkName(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
