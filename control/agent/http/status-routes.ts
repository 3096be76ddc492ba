/** How the agent is: for probes, for an overview, and for whoever looks for a cause. */

import { json, list, type Route } from './route.js';
import { type AgentSource, running } from './source.js';

/** An event that takes longer than this will not end by itself; restarting the agent touches no traffic. Milliseconds. */
const STUCK_MS = 120_000;

export function statusRoutes(source: AgentSource): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/healthz',
      summary: 'liveness: 503 if an event has been running for two minutes',
      query: [],
      handle: () => {
        const current = source.agent?.activity.running ?? null;
        const stuck = current !== null && current.milliseconds > STUCK_MS;
        return stuck ? json({ status: 'stuck', event: current }, 503) : json({ status: 'ok' });
      },
    },
    {
      method: 'GET',
      path: '/readyz',
      summary: 'readiness: 503 with the problem unless CNI ADD would be served',
      query: [],
      handle: () => {
        const problem = problemOf(source);
        return problem === null ? json({ ready: true }) : json({ ready: false, problem }, 503);
      },
    },
    {
      method: 'GET',
      path: '/status',
      summary: 'node, versions, store revisions, event queue, data plane',
      query: [],
      handle: () => json(statusOf(source)),
    },
    {
      method: 'GET',
      path: '/problems',
      summary: 'everything that is known to be wrong: objects, store entries, refused items, the node',
      query: [],
      handle: () => list(running(source).problems()),
    },
  ];
}

/** Why the agent is not ready; null = it is. */
export function problemOf(source: AgentSource): string | null {
  if (source.agent === null) return source.waiting ?? 'the agent is starting';
  const { ready, problem } = source.agent.status();
  return ready ? null : (problem ?? 'not ready');
}

function statusOf(source: AgentSource): object {
  const { node, version, agent } = source;
  const problem = problemOf(source);
  const base = {
    node,
    version,
    ready: problem === null,
    problem,
    uptimeSeconds: Math.floor(process.uptime()),
  };
  if (agent === null) return base;
  const { queued, running: current } = agent.activity;
  return {
    ...base,
    nodeId: agent.id,
    addresses: agent.state.identity.record.addresses,
    pods: agent.state.pods().length,
    store: { ...agent.revisions, away: agent.storeAway },
    events: { queued, running: current, last: agent.history.at(-1)?.seq ?? 0 },
    dataplane: {
      up: agent.backend !== null,
      backend: agent.backend?.name ?? null,
      version: agent.backend?.version ?? null,
      opened: agent.dataplaneOpens,
    },
    drifts: agent.drifts,
  };
}
