/** Who is at an end of a packet: pods, nodes and addresses, looked up in raw API objects. */
import type { End } from './question.js';
import { at, labelsOf, listAt, nameOf, namespaceOf, type Raw, textAt } from './raw.js';

/** One end, with all that a policy can see of it. */
export interface Party {
  readonly ips: readonly string[];
  /** null = not a pod with an address of its own. */
  readonly pod: unknown;
  readonly node: string | null;
}

export class Parties {
  readonly #pods: readonly unknown[];
  readonly #nodes: readonly unknown[];
  readonly #namespaces: ReadonlyMap<string, unknown>;

  constructor(objects: readonly unknown[]) {
    this.#pods = ofKind(objects, 'Pod');
    this.#nodes = ofKind(objects, 'Node');
    this.#namespaces = new Map(
      ofKind(objects, 'Namespace').map((namespace) => [nameOf(namespace), namespace]),
    );
  }

  namespaceLabels(name: string): Raw {
    return { ...labelsOf(this.#namespaces.get(name)), 'kubernetes.io/metadata.name': name };
  }

  /** Throws if it names a pod or node that does not exist. */
  at(end: End): Party {
    if ('pod' in end) {
      const pod = this.#pods.find((p) => namespaceOf(p) === end.pod.namespace && nameOf(p) === end.pod.name);
      if (pod === undefined) throw new Error(`no pod ${end.pod.namespace}/${end.pod.name}`);
      const node = textAt(pod, 'spec', 'nodeName') ?? null;
      return { ips: ipsOf(pod), pod: hasOwnAddress(pod) ? pod : null, node };
    }
    if ('node' in end)
      return { ips: end.ip === undefined ? this.#nodeIps(end.node) : [end.ip], pod: null, node: end.node };
    const pod = this.#pods.find((p) => hasOwnAddress(p) && ipsOf(p).includes(end.ip));
    const node = pod === undefined ? this.#ownerOf(end.ip) : textAt(pod, 'spec', 'nodeName');
    return { ips: [end.ip], pod: pod ?? null, node: node ?? null };
  }

  #nodeIps(name: string): readonly string[] {
    const node = this.#nodes.find((candidate) => nameOf(candidate) === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return (listAt(node, 'status', 'addresses') ?? []).flatMap((address) =>
      textAt(address, 'type') === 'InternalIP' ? [textAt(address, 'address') ?? ''] : [],
    );
  }

  #ownerOf(ip: string): string | undefined {
    const node = this.#nodes.find((candidate) => this.#nodeIps(nameOf(candidate)).includes(ip));
    return node === undefined ? undefined : nameOf(node);
  }
}

export function ofKind(objects: readonly unknown[], kind: string): readonly unknown[] {
  return objects.filter((object) => at(object, 'kind') === kind);
}

/** Pods on the host's network are the node as far as a network can see; pods that have ended hold no address. */
function hasOwnAddress(pod: unknown): boolean {
  const phase = textAt(pod, 'status', 'phase');
  return at(pod, 'spec', 'hostNetwork') !== true && phase !== 'Succeeded' && phase !== 'Failed';
}

/** `status.podIPs`, as objects (the API's form) or as plain texts. */
function ipsOf(pod: unknown): readonly string[] {
  const many = (listAt(pod, 'status', 'podIPs') ?? []).map((entry) =>
    typeof entry === 'string' ? entry : (textAt(entry, 'ip') ?? ''),
  );
  const one = textAt(pod, 'status', 'podIP');
  return many.length > 0 || one === undefined ? many : [one];
}
