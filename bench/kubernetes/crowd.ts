/** Fills a cluster with Services and policies, and with pods of a node that is not simulated: only their objects exist. */
import type { ApiClient } from '../../control/sim/kubernetes/api.js';
import { collectionPath, kindNamed, objectPath } from '../../control/sim/kubernetes/kinds.js';

export interface CrowdSpec {
  readonly namespaces: number;
  readonly pods: number;
  readonly services: number;
  readonly policies: number;
  /** A part of the policies selects the pods that are measured: in this namespace, with this label. */
  readonly measured: { readonly namespace: string; readonly app: string; readonly policies: number };
}

const PARALLEL = 16;
const GHOST = 'ghost';
/** Pod addresses of nodes 100 and up, which nobody has. */
const FIRST_NODE = 100;
const PODS_PER_NODE = 200;

/** Resolves when the API has all of it. Throws ApiError. */
export async function crowd(api: ApiClient, spec: CrowdSpec): Promise<void> {
  const { namespaces, measured } = spec;
  const namespaceOf = (i: number) => `crowd-${i % namespaces}`;
  const create = (kind: string, namespace: string | undefined, body: object) =>
    api.create(collectionPath(kindNamed(kind), namespace), {
      apiVersion: kindNamed(kind).apiVersion,
      kind,
      ...body,
    });
  await create('Node', undefined, { metadata: { name: GHOST } });
  await each(namespaces, (i) =>
    create('Namespace', undefined, { metadata: { name: namespaceOf(i), labels: { team: `team-${i}` } } }),
  );
  await each(spec.pods, async (i) => {
    const [name, namespace] = [`pod-${i}`, namespaceOf(i)];
    const labels = { app: `app-${i % 50}`, tier: `tier-${i % 7}` };
    const containers = [{ name: 'main', image: 'example.com/x', ports: [{ containerPort: 8080 }] }];
    await create('Pod', namespace, { metadata: { name, labels }, spec: { nodeName: GHOST, containers } });
    const podIP = `10.1.${FIRST_NODE + Math.floor(i / PODS_PER_NODE)}.${2 + (i % PODS_PER_NODE)}`;
    const conditions = [{ type: 'Ready', status: 'True' }];
    const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions };
    await api.patch(`${objectPath(kindNamed('Pod'), namespace, name)}/status`, { status }, 'strategic');
  });
  await each(spec.services, (i) =>
    create('Service', namespaceOf(i), {
      metadata: { name: `service-${i}` },
      spec: { selector: { app: `app-${i % 50}` }, ports: [{ port: 80, targetPort: 8080 }] },
    }),
  );
  await each(spec.policies, (i) => {
    const ours = i < measured.policies;
    const app = ours ? measured.app : `app-${i % 50}`;
    return create('NetworkPolicy', ours ? measured.namespace : namespaceOf(i), {
      metadata: { name: `policy-${i}` },
      spec: {
        podSelector: { matchLabels: { app } },
        policyTypes: ['Ingress'],
        ingress: [
          {
            from: [
              {
                namespaceSelector: { matchLabels: { team: `team-${(i * 7) % namespaces}` } },
                podSelector: { matchLabels: { tier: `tier-${i % 7}` } },
              },
            ],
            ports: [{ port: 8000 + (i % 100) }],
          },
        ],
      },
    });
  });
}

async function each(count: number, make: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await make(next++);
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, count) }, lane));
}
