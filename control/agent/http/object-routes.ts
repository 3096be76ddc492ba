/** The cluster's objects as the agent knows them: what `pteropus explain` and `matrix` can be asked about. */
import type { Kind, KubeObject } from '../../objects/types.js';
import type { Agent } from '../agent.js';
import type { Query } from './query.js';
import { list, type Route } from './route.js';
import { type AgentSource, running } from './source.js';

const KINDS: readonly Kind[] = [
  ...(['Namespace', 'Node', 'NodeRecord', 'Pod', 'Service', 'EndpointSlice'] as const),
  ...(['NetworkPolicy', 'ClusterNetworkPolicy'] as const),
];

export function objectRoutes(source: AgentSource): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/objects',
      summary: 'the objects of the cluster as the agent knows them, reduced to what it needs',
      query: ['kind', 'namespace', 'name'],
      handle: (query) => {
        const agent = running(source);
        return list(select(agent, query), { revision: agent.revisions.known });
      },
    },
  ];
}

function select({ state }: Agent, query: Query): readonly KubeObject[] {
  const kind = query.oneOf('kind', KINDS);
  const [namespace, name] = [query.text('namespace'), query.text('name')];
  const objects = (kind === null ? KINDS : [kind]).flatMap((one): readonly KubeObject[] => [
    ...state.model.all(one),
  ]);
  return objects.filter(
    ({ metadata }) =>
      (namespace === null || metadata.namespace === namespace) && (name === null || metadata.name === name),
  );
}
