/** The changes that are measured: each is made, measured, undone and measured again. */
import type { ApiClient, ApiObject } from '../../control/sim/kubernetes/api.js';
import { kindNamed, objectPath } from '../../control/sim/kubernetes/kinds.js';
import type { Wire } from './effect.js';

export interface Change {
  readonly name: string;
  /** It goes by way of played controllers too, which add writes of their own. */
  readonly played: boolean;
  readonly wire: Wire;
  readonly close: () => Promise<unknown>;
  readonly open: () => Promise<unknown>;
}

export interface Subject {
  readonly api: ApiClient;
  readonly namespace: string;
  readonly client: string;
  readonly server: string;
  /** Address of the pod `server`. */
  readonly address: string;
}

const PORT = 8080;
const MANAGER = 'bench';
export const GATE = 'example.com/open';
export const SERVER_APP = 'measured';

/** Everything starts open. Throws ApiError. */
export async function changes({
  api,
  namespace,
  client,
  server,
  address,
}: Subject): Promise<readonly Change[]> {
  const path = (kind: string, name: string) => objectPath(kindNamed(kind), namespace, name);
  const apply = async (kind: string, name: string, spec: object): Promise<ApiObject> => {
    const { apiVersion } = kindNamed(kind);
    const body = { apiVersion, kind, metadata: { name, namespace }, spec };
    return (await api.apply(path(kind, name), body, MANAGER)) as unknown as ApiObject;
  };
  const podSelector = { matchLabels: { app: SERVER_APP } };
  const isolate = { podSelector, policyTypes: ['Ingress'] };
  const friends = (role: string, port: number) => ({
    ...isolate,
    ingress: [{ from: [{ podSelector: { matchLabels: { role } } }], ports: [{ port }] }],
  });
  // What lets the client in, among the many that select the server.
  await apply('NetworkPolicy', 'friends', friends('friend', PORT));
  const service = await apply('Service', 'web', {
    selector: { app: SERVER_APP },
    ports: [{ port: 80, targetPort: PORT }],
  });
  const web = { from: partyOf(namespace, client), address: String(service.spec?.['clusterIP']), port: 80 };
  const direct = { ...web, address, port: PORT };
  const setRole = (role: string) => api.patch(path('Pod', client), { metadata: { labels: { role } } });
  const setPorts = (port: number) =>
    api.patch(path('Service', 'web'), { spec: { ports: [{ port, targetPort: PORT }] } });
  const setReady = (status: string) =>
    api.patch(
      `${path('Pod', server)}/status`,
      { status: { conditions: [{ type: GATE, status }] } },
      'strategic',
    );
  await setReady('True');
  return [
    {
      name: 'NetworkPolicy removed and added',
      played: false,
      wire: direct,
      close: () => api.delete(path('NetworkPolicy', 'friends')),
      open: () => apply('NetworkPolicy', 'friends', friends('friend', PORT)),
    },
    {
      name: 'NetworkPolicy changed',
      played: false,
      wire: direct,
      close: () => apply('NetworkPolicy', 'friends', friends('friend', PORT + 1)),
      open: () => apply('NetworkPolicy', 'friends', friends('friend', PORT)),
    },
    {
      name: 'pod relabelled',
      played: false,
      wire: direct,
      close: () => setRole('guest'),
      open: () => setRole('friend'),
    },
    {
      name: 'Service port changed',
      played: false,
      wire: web,
      close: () => setPorts(81),
      open: () => setPorts(80),
    },
    {
      name: 'endpoint readiness',
      played: true,
      wire: web,
      close: () => setReady('False'),
      open: () => setReady('True'),
    },
  ];
}

function partyOf(namespace: string, name: string): Wire['from'] {
  return { type: 'pod', pod: { namespace, name } };
}
