/** Random histories of a small cluster for the property test: the same few names over and over, so that everything meets. */

import { refOfPod } from '../../control/compiler/fixture.js';
import type { Attachment, NodeLocal } from '../../control/compiler/input.js';
import { parseApiObject } from '../../control/objects/manifest.js';
import type { KubeObject, ObjectEvent, Pod } from '../../control/objects/types.js';
import { objectKey } from '../../control/objects/types.js';
import type { Random } from '../../control/oracle/random.js';
import { randomCluster } from '../../control/oracle/random-cluster.js';

/** One call of `apply`. */
export interface Step {
  readonly events: readonly ObjectEvent[];
  /** What is wired from here on; null = as before. */
  readonly local: NodeLocal | null;
}

const NODE = 'n1';

const NAMESPACES = ['a', 'b', 'c', 'kube-system'];
const ADDRESSES = ['10.1.1.2', '10.1.1.3', '10.1.1.4', '10.1.2.2', '10.1.2.3', '10.1.3.2', 'fd00:1:1::2'];
/** Of one node, of several, an underlay address, one of the pods' range. */
const INTERNAL = ['10.0.0.1', '10.0.0.2', '10.0.0.2', '192.168.16.2', '192.168.16.9', '10.1.2.2'];
const NODES = [NODE, 'n2', 'n3', 'n4'];
const ZONES = ['z1', 'z2'];

/** A history of `length` steps, most of one event. */
export function randomHistory(random: Random, length: number): readonly Step[] {
  return new History(random).steps(length);
}

class History {
  readonly #alive = new Map<string, KubeObject>();
  #pool: KubeObject[] = [];
  #local: NodeLocal = {
    node: NODE,
    uplink: { link: 'eth0', mac: '02:00:00:00:00:01' },
    host: { link: 'ptero0', mac: '02:00:00:00:00:02', peerMac: '02:00:00:00:00:03' },
    attachments: [],
  };

  constructor(private readonly random: Random) {}

  steps(length: number): readonly Step[] {
    const events = [nodeRecord(this.random, NODE, 1), ...NODES.map((name) => randomNode(this.random, name))];
    const first = { events: events.map((object) => this.#put(object)), local: this.#local };
    return [first, ...this.random.times(length - 1, () => this.#step())];
  }

  #step(): Step {
    const { random } = this;
    const many = random.chance(0.1) ? 2 + random.below(12) : 1;
    const events = random.times(many, () => this.#event());
    return { events, local: random.chance(0.15) ? this.#rewire() : null };
  }

  #event(): ObjectEvent {
    const { random } = this;
    const what = random.next();
    if (what < 0.2 && this.#alive.size > 0) return this.#delete(random.pick([...this.#alive.values()]));
    if (what < 0.35) return this.#put(this.#relabelled() ?? this.#fresh());
    if (what < 0.6) return this.#put(this.#serving());
    if (what < 0.65) {
      const name = random.pick(NODES);
      return this.#put(
        nodeRecord(random, name, random.chance(0.8) ? NODES.indexOf(name) + 1 : 1 + random.below(5)),
      );
    }
    if (what < 0.7) return this.#put(randomNode(random, random.pick(NODES)));
    return this.#put(this.#fresh());
  }

  /** Some object of some random cluster: under a name known from before, it is a change of all its fields. */
  #fresh(): KubeObject {
    if (this.#pool.length === 0) {
      const { objects } = randomCluster(this.random);
      this.#pool = objects.filter(({ kind }) => kind !== 'Node').map(parseApiObject);
    }
    const [object] = this.#pool.splice(this.random.below(this.#pool.length), 1);
    return object ?? this.#fresh();
  }

  /** A pod or namespace that changes in one respect. */
  #relabelled(): KubeObject | null {
    const { random } = this;
    const some = [...this.#alive.values()].filter(({ kind }) => kind === 'Pod' || kind === 'Namespace');
    if (some.length === 0) return null;
    const object = random.pick(some);
    const labels = {
      ...object.metadata.labels,
      [random.pick(['app', 'tier', 'env'])]: random.pick(['x', 'y', 'z']),
    };
    if (object.kind !== 'Pod' || random.chance(0.5))
      return { ...object, metadata: { ...object.metadata, labels } } as KubeObject;
    const ended = random.chance(0.3);
    return {
      ...object,
      metadata: {
        ...object.metadata,
        annotations: random.chance(0.6) ? { 'service.pteropus.io/weight': `${1 + random.below(3)}` } : {},
      },
      status: {
        ...object.status,
        phase: ended ? random.pick(['Succeeded', 'Failed']) : 'Running',
        podIPs: random.chance(0.7) ? [random.pick(ADDRESSES)] : [],
      },
    };
  }

  /** A Service or a slice of one. */
  #serving(): KubeObject {
    const { random } = this;
    const pods = [...this.#alive.values()].filter(({ kind }) => kind === 'Pod');
    return parseApiObject(random.chance(0.4) ? randomService(random) : randomSlice(random, pods));
  }

  #put(object: KubeObject): ObjectEvent {
    this.#alive.set(keyOf(object), object);
    return { type: 'put', object };
  }

  #delete(object: KubeObject): ObjectEvent {
    this.#alive.delete(keyOf(object));
    const { namespace, name } = object.metadata;
    return { type: 'delete', kind: object.kind, namespace, name };
  }

  /** A pod is wired, unwired, or gets another address: one that is known, or will be, or never. */
  #rewire(): NodeLocal {
    const { random } = this;
    const pods = [...this.#alive.values()].filter((object): object is Pod => object.kind === 'Pod');
    const { attachments } = this.#local;
    const ref =
      pods.length > 0 && random.chance(0.8)
        ? refOfPod(random.pick(pods))
        : { namespace: random.pick(NAMESPACES), name: `p${random.below(8)}` };
    const others = attachments.filter(({ pod }) => pod.namespace !== ref.namespace || pod.name !== ref.name);
    const free = ADDRESSES.filter((ip) => !others.some(({ addresses }) => addresses.includes(ip)));
    const gone = others.length < attachments.length && random.chance(0.6);
    const next: Attachment[] = gone || free.length === 0 ? [] : [attachment(random, ref, free)];
    const links = random.chance(0.05) ? { host: null } : {};
    this.#local = { ...this.#local, ...links, attachments: [...others, ...next] };
    return this.#local;
  }
}

function attachment(random: Random, pod: Attachment['pod'], free: readonly string[]): Attachment {
  const mac = '02:00:00:00:01:00';
  return {
    pod,
    link: `pod-${random.below(3)}`,
    mac,
    peerMac: mac,
    addresses: [...new Set([random.pick(free), ...(random.chance(0.3) ? [random.pick(free)] : [])])],
  };
}

function nodeRecord(random: Random, name: string, id: number): KubeObject {
  return {
    kind: 'NodeRecord',
    metadata: { name, namespace: null, uid: null, labels: {}, annotations: {} },
    id,
    addresses: random.chance(0.8) ? [`192.168.16.${id}`] : [],
  };
}

function randomNode(random: Random, name: string): KubeObject {
  const labels = random.chance(0.9) ? { 'topology.kubernetes.io/zone': random.pick(ZONES) } : {};
  return parseApiObject({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    status: {
      addresses: [{ type: 'InternalIP', address: random.chance(0.2) ? random.pick(INTERNAL) : '10.0.0.7' }],
    },
  });
}

function randomService(random: Random): unknown {
  const type = random.pick(['ClusterIP', 'NodePort', 'LoadBalancer', 'LoadBalancer']);
  const local = random.pick(['Cluster', 'Local']);
  const ports = random.pick([
    [{ name: 'http', port: 80, nodePort: 30080 }],
    [
      { name: 'http', port: 80, nodePort: 30000 + random.below(3) },
      { name: 'dns', port: 53, protocol: 'UDP', nodePort: 30053 },
    ],
  ]);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: `s${random.below(3)}`,
      namespace: random.pick(['a', 'a', 'b']),
      labels: random.chance(0.1) ? { 'service.kubernetes.io/service-proxy-name': 'other' } : {},
      annotations: random.chance(0.2) ? { 'service.pteropus.io/algorithm': 'maglev' } : {},
    },
    spec: {
      type,
      clusterIP: random.chance(0.1) ? 'None' : `10.96.0.${1 + random.below(5)}`,
      ports: type === 'ClusterIP' ? ports.map(({ nodePort: _none, ...port }) => port) : ports,
      sessionAffinity: random.pick(['None', 'ClientIP']),
      internalTrafficPolicy: random.pick(['Cluster', 'Local']),
      ...(type === 'ClusterIP' ? {} : { externalTrafficPolicy: local }),
      ...(type === 'LoadBalancer' && local === 'Local' ? { healthCheckNodePort: 31000 } : {}),
      ...(random.chance(0.6)
        ? { trafficDistribution: random.pick(['PreferClose', 'PreferClose', 'PreferSameNode']) }
        : {}),
      externalIPs: random.chance(0.4) ? [`198.51.100.${random.below(3)}`] : [],
    },
    status: {
      loadBalancer:
        type === 'LoadBalancer'
          ? { ingress: [{ ip: random.pick(['192.0.2.1', '192.0.2.2', '192.168.16.3']) }] }
          : {},
    },
  };
}

function randomSlice(random: Random, pods: readonly KubeObject[]): unknown {
  const hinted = random.chance(0.2);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `e${random.below(5)}`,
      namespace: random.pick(['a', 'a', 'b']),
      labels: { 'kubernetes.io/service-name': `s${random.below(3)}` },
    },
    addressType: 'IPv4',
    ports: [
      { name: 'http', port: 8080 },
      { name: 'dns', port: 1053, protocol: 'UDP' },
    ],
    endpoints: random.times(random.below(4), () => ({
      addresses: [random.pick(ADDRESSES.filter((ip) => !ip.includes(':')))],
      nodeName: random.pick(NODES),
      ...(random.chance(0.3) ? { zone: random.pick(ZONES) } : {}),
      ...(hinted && random.chance(0.8) ? { hints: { forZones: [{ name: random.pick(ZONES) }] } } : {}),
      ...(pods.length > 0 && random.chance(0.7) ? { targetRef: randomTarget(random, pods) } : {}),
      conditions: { ready: random.chance(0.6), serving: random.chance(0.7), terminating: random.chance(0.3) },
    })),
  };
}

function randomTarget(random: Random, pods: readonly KubeObject[]): unknown {
  const { namespace, name } = random.pick(pods).metadata;
  return { kind: 'Pod', name, namespace };
}

function keyOf({ kind, metadata }: KubeObject): string {
  return objectKey(kind, metadata.namespace, metadata.name);
}
