/** Whether the machine is one VPP runs on as configured: CPU, memory, rights, devices. Pure. */
import type { AgentConfig } from '../../agent/agent-config.js';
import type { VppConfig } from '../../agent/vpp/config.js';
import type { MachineFacts } from './machine.js';
import { type Check, fail, ok, warn } from './types.js';

const MEBIBYTE = 1 << 20;
/** What VPP keeps beside the data of each packet: its header, and room before the data. */
const BUFFER_OVERHEAD = 320;

/** linux/capability.h */
const CAPABILITIES = { NET_ADMIN: 12, NET_RAW: 13, IPC_LOCK: 14, SYS_ADMIN: 21 } as const;

export function checkMachine(facts: MachineFacts, config: AgentConfig, vpp: VppConfig): readonly Check[] {
  return [
    checkCpu(facts),
    ...checkCores(facts, vpp),
    checkMemory(facts, vpp),
    checkRights(facts),
    checkTaps(facts, config, vpp),
    ...checkDeafness(facts, vpp),
  ];
}

/** Packages for x86-64 are made for SSE4.2; faster variants of the hot code are chosen when VPP starts. */
function checkCpu({ architecture, cpuFlags }: MachineFacts): Check {
  if (architecture !== 'x64') {
    if (architecture === 'arm64') return ok('CPU', 'arm64');
    return warn('CPU', `${architecture}: VPP is packaged for x86-64 and arm64`);
  }
  if (!cpuFlags.has('sse4_2')) {
    return fail('CPU', 'has no SSE4.2', 'in a virtual machine: pass the CPU of the host through (-cpu host)');
  }
  if (cpuFlags.has('avx512f')) return ok('CPU', 'SSE4.2, AVX2, AVX-512');
  if (cpuFlags.has('avx2')) return ok('CPU', 'SSE4.2, AVX2');
  return warn(
    'CPU',
    'SSE4.2, no AVX2: VPP runs, slower',
    'in a virtual machine: pass the CPU of the host through',
  );
}

function checkCores({ cores, isolated }: MachineFacts, { startup, uplink }: VppConfig): readonly Check[] {
  const { mainCore, workerCores, rxMode, sleepMicros } = startup;
  const asked = [...(mainCore === null ? [] : [mainCore]), ...workerCores];
  const absent = asked.filter((core) => !cores.includes(core));
  if (absent.length > 0) {
    const there = `cores ${cores.join(', ')}`;
    return [
      fail(
        'cores',
        `there is no core ${absent.join(', ')}; there are ${there}`,
        'vpp.startup.mainCore, vpp.startup.workerCores',
      ),
    ];
  }
  const polls = (uplink.type === 'pci' || uplink.type === 'vdev') && rxMode === 'poll' && sleepMicros === 0;
  if (polls && workerCores.length === 0 && cores.length < 2) {
    return [
      warn(
        'cores',
        'VPP polls its NIC on the only core there is',
        'vpp.startup.rxMode: adaptive, or sleepMicros: 100',
      ),
    ];
  }
  const shared = workerCores.filter((core) => !isolated.includes(core));
  if (shared.length > 0) {
    return [
      warn(
        'cores',
        `worker cores ${shared.join(', ')} are not isolated: VPP aborts when a worker waits a second for its core`,
        `isolcpus=${shared.join(',')} on the kernel's command line, or the kubelet's static CPU manager`,
      ),
    ];
  }
  const workers = workerCores.length === 0 ? 'no workers' : `workers on ${workerCores.join(', ')}`;
  return [ok('cores', `${cores.length} online; ${workers}`)];
}

/** Bytes VPP asks for at its start. */
export function memoryNeeded({ startup }: Pick<VppConfig, 'startup'>): number {
  return startup.heap + startup.statsBytes + startup.buffers * (startup.bufferBytes + BUFFER_OVERHEAD);
}

function checkMemory({ memoryAvailable, hugepages }: MachineFacts, vpp: VppConfig): Check {
  const needed = memoryNeeded(vpp);
  const size = vpp.startup.hugepages;
  if (size !== '2M' && size !== '1G') {
    const text = `${mebibytes(memoryAvailable)} available, ${mebibytes(needed)} asked for, no hugepages`;
    if (memoryAvailable >= needed) return ok('memory', text);
    return fail('memory', text, 'vpp.startup.heap, vpp.startup.buffers');
  }
  const bytes = size === '2M' ? 2 * MEBIBYTE : 1024 * MEBIBYTE;
  const pages = Math.ceil(needed / bytes);
  const { total = 0, free = 0 } = hugepages.get(size) ?? {};
  const text = `hugepages of ${size}: ${free} free of ${total}, ${pages} needed`;
  if (free >= pages) return ok('memory', text);
  const folder = `/sys/kernel/mm/hugepages/hugepages-${bytes / 1024}kB/nr_hugepages`;
  return fail('memory', text, `echo ${total - free + pages} > ${folder}, or vpp.startup.hugepages: default`);
}

function checkRights({ capabilities }: MachineFacts): Check {
  const lacking = Object.entries(CAPABILITIES).filter(
    ([, bit]) => (capabilities & (1n << BigInt(bit))) === 0n,
  );
  if (lacking.length === 0) return ok('rights', Object.keys(CAPABILITIES).join(', '));
  const names = lacking.map(([name]) => name).join(', ');
  return fail('rights', `capabilities ${names} are missing`, 'run as root; in a container: privileged');
}

/** Pods have TAPs where the kernel lets VPP make them; VPP knows no way around vhost-net. */
function checkTaps({ vhostNet, tun }: MachineFacts, { podFeed }: AgentConfig, { host }: VppConfig): Check {
  const wanted = podFeed === 'tap' || host === 'tap';
  if (vhostNet && tun)
    return ok(
      'TAP',
      wanted ? '/dev/vhost-net and /dev/net/tun are there' : 'could be used: podFeed is not tap',
    );
  const lacking = [...(vhostNet ? [] : ['/dev/vhost-net']), ...(tun ? [] : ['/dev/net/tun'])].join(', ');
  const modules = [...(vhostNet ? [] : ['vhost_net']), ...(tun ? [] : ['tun'])].join(' ');
  if (wanted)
    return fail('TAP', `${lacking} is not there, and podFeed or vpp.host is tap`, `modprobe -a ${modules}`);
  return warn(
    'TAP',
    `${lacking} is not there: pods get a veth`,
    `modprobe -a ${modules}, for more bulk throughput`,
  );
}

/** Packet sockets leave packets to the kernel as well, unless a filter takes them away from it. */
function checkDeafness({ classifiers }: MachineFacts, { uplink, host, pods }: VppConfig): readonly Check[] {
  const drivers: readonly string[] = [uplink.type, host, pods];
  if (!drivers.includes('af_packet') || classifiers === true) return [];
  const text = 'the kernel must be kept from answering on links VPP reads by af_packet';
  if (classifiers === null)
    return [warn('classifier', `${text}; whether it has CONFIG_NET_CLS_BPF cannot be seen`)];
  return [fail('classifier', `${text}, and has no CONFIG_NET_CLS_BPF`, 'another kernel, or af_xdp and TAPs')];
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / MEBIBYTE)} MiB`;
}
