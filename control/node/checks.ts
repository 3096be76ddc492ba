/** What a node must have before its data plane can start: each thing that is missing is one line, with what to do about it. */
import { CONFLIST_NAME, goesFirst, isConfiguration } from '../cni/conflist.js';
import type { Check } from '../vswitch/preflight/types.js';
import type { LinkFacts, NodeFacts } from './facts.js';

/** What is asked of the node. */
export interface Needs {
  readonly uplink: string;
  /** Bytes. */
  readonly underlayMtu: number;
  readonly podFeed: 'afxdp' | 'tap';
  readonly confDir: string;
}

export interface Findings {
  /** Nothing works as long as these are so. */
  readonly problems: readonly string[];
  /** It works, perhaps not as meant. */
  readonly remarks: readonly string[];
}

/** AF_XDP that shares one umem between links came with 5.10. */
const LEAST_KERNEL = [5, 10] as const;
/** From here on memory of BPF maps is accounted to the cgroup, and the limit of locked memory no longer counts for it. */
const CGROUP_ACCOUNTING = [5, 11] as const;
/** Packets of several buffers by AF_XDP; before, one has to fit into a buffer (2,048 bytes, of which the kernel takes 274). */
const MULTI_BUFFER = [6, 6] as const;
const ONE_BUFFER = 1774;
const MEBIBYTE = 1 << 20;

const NO_PROPAGATION = '/run/netns: mounts of the host do not show here (mountPropagation: HostToContainer)';

/** linux/capability.h */
const CAPABILITIES = { NET_ADMIN: 12, NET_RAW: 13, IPC_LOCK: 14, SYS_ADMIN: 21 } as const;

export function checkNode(facts: NodeFacts, needs: Needs): Findings {
  const problems: string[] = [];
  const remarks: string[] = [];
  const kernel = versionOf(facts.kernel);
  if (older(kernel, LEAST_KERNEL))
    problems.push(`kernel ${facts.kernel}: Linux ${LEAST_KERNEL.join('.')} or newer is needed`);
  else if (older(kernel, MULTI_BUFFER) && needs.underlayMtu > ONE_BUFFER)
    problems.push(
      `kernel ${facts.kernel}: underlayMtu ${needs.underlayMtu} needs Linux ${MULTI_BUFFER.join('.')} or newer; before, ${ONE_BUFFER} is the most`,
    );
  if (facts.afXdp === false)
    problems.push('kernel: has no AF_XDP sockets (build it with CONFIG_XDP_SOCKETS=y)');
  if (!facts.tun && needs.podFeed === 'tap')
    problems.push('/dev/net/tun: is not there, and podFeed is tap (modprobe tun)');
  for (const [name, bit] of Object.entries(CAPABILITIES)) {
    if ((facts.capabilities & (1n << BigInt(bit))) === 0n)
      problems.push(`capability ${name}: is missing (the container's securityContext)`);
  }
  if (older(kernel, CGROUP_ACCOUNTING) && facts.lockedMemory !== Number.POSITIVE_INFINITY) {
    const mebibytes = Math.floor(facts.lockedMemory / MEBIBYTE);
    problems.push(
      `locked memory: limited to ${mebibytes} MiB, which kernels before 5.11 count BPF maps against (LimitMEMLOCK=infinity for the container runtime)`,
    );
  }
  if (facts.netnsPropagation === false) problems.push(NO_PROPAGATION);
  const link = facts.links.get(needs.uplink);
  if (link === undefined) problems.push(noSuchLink(facts, needs.uplink));
  else checkUplink(link, needs, problems, remarks);
  checkConfigurations(facts.confFiles ?? [], needs.confDir, problems, remarks);
  return { problems, remarks };
}

/** A node on VPP: what its preflight finds, and what concerns any node. */
export function checkVppNode(preflight: readonly Check[], facts: NodeFacts, confDir: string): Findings {
  const lines = (state: Check['state']): string[] =>
    preflight
      .filter((check) => check.state === state)
      .map(({ name, text, mend }) => `${name}: ${text}${mend === undefined ? '' : ` (${mend})`}`);
  const [problems, remarks] = [lines('fail'), lines('warn')];
  if (facts.netnsPropagation === false) problems.push(NO_PROPAGATION);
  checkConfigurations(facts.confFiles ?? [], confDir, problems, remarks);
  return { problems, remarks };
}

function noSuchLink(facts: NodeFacts, uplink: string): string {
  const names = [...facts.links.keys()].filter((name) => name !== 'lo' && !/^(pt|veth|cali|lxc)/.test(name));
  return `uplink ${uplink}: no such link; there are ${names.join(', ') || 'none'}`;
}

/** What reaches the uplink goes to the data plane: the host's own stack hears nothing on it any more. */
function checkUplink(link: LinkFacts, needs: Needs, problems: string[], remarks: string[]): void {
  const { uplink, underlayMtu } = needs;
  if (link.addresses.length > 0) {
    const carried = link.addresses.join(', ');
    problems.push(
      `uplink ${uplink}: carries ${carried} of the host's own stack, which would be cut off; give Pteropus a link of its own`,
    );
  }
  if (link.mtu < underlayMtu)
    remarks.push(`uplink ${uplink}: its MTU is ${link.mtu}; it will be set to underlayMtu ${underlayMtu}`);
}

/** Runtimes take the first file by name. */
function checkConfigurations(
  names: readonly string[],
  folder: string,
  problems: string[],
  remarks: string[],
): void {
  for (const name of names) {
    if (name === CONFLIST_NAME || !isConfiguration(name)) continue;
    if (goesFirst(name))
      problems.push(
        `${folder}/${name}: comes before ${CONFLIST_NAME}, so that the container runtime would not call Pteropus; remove it`,
      );
    else
      remarks.push(`${folder}/${name}: another network's configuration, not used as long as ours is there`);
  }
}

type Version = readonly [number, number];

function versionOf(text: string): Version {
  const match = /^(\d+)\.(\d+)/.exec(text);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}

function older(version: Version, than: Version): boolean {
  return version[0] < than[0] || (version[0] === than[0] && version[1] < than[1]);
}
