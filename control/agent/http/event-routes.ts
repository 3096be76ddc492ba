/** What the agent did, and doing it again. */
import type { EventRecord } from '../history.js';
import type { Query } from './query.js';
import { json, list, type Route } from './route.js';
import { type AgentSource, running } from './source.js';

const KINDS = ['upstream', 'downstream', 'full'] as const;
const FILTERS = ['seq', 'from', 'to', 'since', 'until', 'name', 'object', 'failed', 'first', 'last'] as const;

export function eventRoutes(source: AgentSource): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/events',
      summary: 'the last thousand events and failures before them, oldest first',
      query: FILTERS,
      handle: (query) => list(filterEvents(running(source).history, query)),
    },
    {
      method: 'POST',
      path: '/resync',
      summary: 'runs a resync (kind: upstream, downstream or full, the default) and answers with its event',
      query: ['kind'],
      handle: async (query) => {
        const agent = running(source);
        const kind = query.oneOf('kind', KINDS) ?? 'full';
        await agent.resync(kind);
        return json(latest(agent.history, `resync ${kind}`));
      },
    },
    {
      method: 'POST',
      path: '/audit',
      summary: 'compares wired pods with the machine’s links, frees what is gone, and answers with its event',
      query: [],
      handle: async () => {
        const agent = running(source);
        await agent.audit();
        return json(latest(agent.history, 'audit'));
      },
    },
  ];
}

/** Events that fit all filters given; of those the `first` or the `last` so many. Throws HttpError 400. */
function filterEvents(events: readonly EventRecord[], query: Query): readonly EventRecord[] {
  const seq = query.integer('seq', 1);
  const [from, to] = [query.integer('from', 0) ?? 0, query.integer('to', 0) ?? Number.POSITIVE_INFINITY];
  const [since, until] = [query.time('since') ?? 0, query.time('until') ?? Number.POSITIVE_INFINITY];
  const [name, object] = [query.text('name'), query.text('object')];
  const failed = query.flag('failed');
  const found = events.filter(
    (event) =>
      (seq === null || event.seq === seq) &&
      event.seq >= from &&
      event.seq <= to &&
      event.end >= since &&
      event.start <= until &&
      (name === null || event.name === name) &&
      (object === null || event.object === object) &&
      (!failed || event.error !== null),
  );
  const [first, last] = [query.integer('first', 1), query.integer('last', 1)];
  const head = first === null ? found : found.slice(0, first);
  return last === null ? head : head.slice(-last);
}

function latest(history: readonly EventRecord[], name: string): EventRecord | object {
  return history.findLast((event) => event.name === name) ?? {};
}
