/**
 * One node's links inside the process: its uplink is a port of the underlay's switch, its host interconnect and its pods'
 * links have stations behind them. The agent configures them as it configures veth pairs.
 */
import { LinkExistsError, SandboxError } from '../../agent/errors.js';
import {
  detachEach,
  type FoundLink,
  type LinkDriver,
  type NodeLinkSpec,
  type NodeLinks,
  type PodEnd,
  type PodLinkSpec,
} from '../../agent/links.js';
import type { MemoryLinks } from '../../backends/wasm/memory-feed.js';
import { bitsOf, parseIp } from '../../common/ip.js';
import { plansOf } from '../../ipam/arithmetic.js';
import type { ContainerPort } from '../../objects/types.js';
import { Station } from './station.js';
import type { Switch } from './switch.js';

/** A pod's place before it is wired: what a container runtime would have made. */
export interface Sandbox {
  /** `NS/NAME`, the name its servers answer with. */
  readonly name: string;
  readonly ports: readonly Pick<ContainerPort, 'protocol' | 'containerPort'>[];
}

const UPLINK = 'uplink';
const HOST_LINK = 'host';

interface Wired {
  readonly spec: PodLinkSpec;
  readonly station: Station;
}

export class NodeWiring implements LinkDriver {
  /** Sandboxes of this node by the name that stands for their namespace path. */
  readonly sandboxes = new Map<string, Sandbox>();
  readonly #pods = new Map<string, Wired>();
  #host: Station | null = null;

  constructor(
    readonly links: MemoryLinks,
    readonly underlay: Switch,
    /** Number of the node on the underlay; makes its MACs. */
    readonly id: number,
  ) {}

  /** The node's own stack; null before `setupNode`. */
  get host(): Station | null {
    return this.#host;
  }

  /** The stack inside a sandbox, if it is wired. */
  stationOf(netns: string): Station | undefined {
    return [...this.#pods.values()].find(({ spec }) => spec.netns === netns)?.station;
  }

  setupNode({ node, plan, addresses }: NodeLinkSpec): Promise<NodeLinks> {
    this.links.attach(UPLINK, (frame) => this.underlay.forward(node, frame));
    this.underlay.connect(node, (frame) => this.links.send(UPLINK, frame));
    const peerMac = stationMac(this.id, 2);
    const plans = plansOf(plan);
    this.#host ??= this.#open(HOST_LINK, {
      mac: peerMac,
      addresses: [...addresses, ...plans.map(({ hostLinuxAddress }) => hostLinuxAddress)],
      gateways: plans.map(({ hostDataplaneAddress }) => hostDataplaneAddress),
      gatewayMac: plan.hostMac,
    });
    return Promise.resolve({
      uplink: { link: UPLINK, mac: stationMac(this.id, 1) },
      host: { link: HOST_LINK, mac: plan.hostMac, peerMac },
    });
  }

  async attachPod(spec: PodLinkSpec): Promise<void> {
    const sandbox = this.sandboxes.get(spec.netns);
    if (sandbox === undefined) throw new SandboxError('there is no such sandbox', { object: spec.netns });
    if (this.#pods.has(spec.link) || this.stationOf(spec.netns) !== undefined) {
      throw new LinkExistsError('the sandbox is wired already', { object: spec.link });
    }
    const { mac: gatewayMac, podMac: mac, addresses, gateways } = spec;
    const station = this.#open(spec.link, { mac, addresses, gateways, gatewayMac });
    listen(station, sandbox);
    this.#pods.set(spec.link, { spec, station });
  }

  detachPod(link: string): Promise<void> {
    this.#pods.get(link)?.station.close();
    this.#pods.delete(link);
    this.links.detach(link);
    return Promise.resolve();
  }

  detachPods(pods: readonly PodEnd[]): Promise<ReadonlyMap<string, Error>> {
    return detachEach(this, pods);
  }

  sweepPod({ link }: Pick<PodLinkSpec, 'link'>): Promise<void> {
    return this.detachPod(link);
  }

  podLinks(): Promise<readonly string[]> {
    return Promise.resolve([...this.#pods.keys()]);
  }

  findPods(links: readonly string[]): Promise<readonly FoundLink[]> {
    return Promise.resolve(
      [...this.#pods.values()].flatMap(({ spec }) => (links.includes(spec.link) ? [spec] : [])),
    );
  }

  /** Stations send what they are told to, whatever its length. */
  renewPod({ link, mtu }: PodLinkSpec): Promise<boolean> {
    const wired = this.#pods.get(link);
    if (wired === undefined || wired.spec.mtu === mtu) return Promise.resolve(false);
    this.#pods.set(link, { ...wired, spec: { ...wired.spec, mtu } });
    return Promise.resolve(true);
  }

  checkPod(spec: PodLinkSpec): Promise<readonly string[]> {
    const wired = this.#pods.get(spec.link)?.spec;
    if (wired === undefined) return Promise.resolve([`link ${spec.link} is not there`]);
    const fields = ['netns', 'ifname', 'mac', 'podMac', 'addresses', 'gateways', 'mtu'] as const;
    const differs = fields.filter((field) => JSON.stringify(wired[field]) !== JSON.stringify(spec[field]));
    return Promise.resolve(
      differs.map((field) => `${field} of link ${spec.link} is ${String(wired[field])}`),
    );
  }

  close(): Promise<void> {
    for (const { station } of this.#pods.values()) station.close();
    this.#host?.close();
    return Promise.resolve();
  }

  /** A station whose only neighbor is the data plane, at a MAC it knows. */
  #open(
    link: string,
    spec: { mac: string; addresses: readonly string[]; gateways: readonly string[]; gatewayMac: string },
  ): Station {
    const station = new Station({
      mac: spec.mac,
      addresses: spec.addresses,
      routes: spec.gateways.flatMap((gateway) => {
        const { family } = parseIp(gateway);
        return [
          { destination: `${gateway}/${bitsOf(family)}`, nextHop: null },
          { destination: family === 4 ? '0.0.0.0/0' : '::/0', nextHop: gateway },
        ];
      }),
      neighbors: new Map(spec.gateways.map((gateway) => [gateway, spec.gatewayMac])),
      send: (frame) => this.links.send(link, frame),
    });
    this.links.attach(link, (frame) => station.receive(frame));
    return station;
  }
}

/** Starts a pod's servers on a station: its own, or its node's for a pod on the host's network. */
export function listen(station: Station, { name, ports }: Sandbox): void {
  for (const { protocol, containerPort } of ports) {
    if (protocol !== 'SCTP') station.servers.listen(protocol, containerPort, name);
  }
}

/** Stations on the underlay have MACs of the locally administered range 02:70:74 (`pt`), so that captures read well. */
export function stationMac(node: number, link: number): string {
  const hex = (n: number) => n.toString(16).padStart(2, '0');
  return `02:70:74:${hex(link)}:${hex(node >>> 8)}:${hex(node & 255)}`;
}
