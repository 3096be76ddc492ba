/** All routes of the REST interface. */
import { addressRoutes } from './address-routes.js';
import { eventRoutes } from './event-routes.js';
import { objectRoutes } from './object-routes.js';
import { list, type Route } from './route.js';
import { rulesetRoutes } from './ruleset-routes.js';
import type { AgentSource } from './source.js';
import { statusRoutes } from './status-routes.js';
import { traceRoutes } from './trace-routes.js';

/** `metrics`: the Prometheus text of the moment, and its content type. */
export function agentRoutes(
  source: AgentSource,
  metrics: { readonly contentType: string; text(): Promise<string> },
): readonly Route[] {
  const routes: Route[] = [
    ...statusRoutes(source),
    ...addressRoutes(source),
    ...eventRoutes(source),
    ...objectRoutes(source),
    ...rulesetRoutes(source),
    ...traceRoutes(source),
    {
      method: 'GET',
      path: '/metrics',
      summary: 'metrics in the text format of Prometheus',
      query: [],
      handle: async () => ({ status: 200, contentType: metrics.contentType, text: await metrics.text() }),
    },
  ];
  const index: Route = {
    method: 'GET',
    path: '/',
    summary: 'this list',
    query: [],
    handle: () =>
      list([index, ...routes].map(({ method, path, summary, query }) => ({ method, path, summary, query }))),
  };
  return [index, ...routes];
}
