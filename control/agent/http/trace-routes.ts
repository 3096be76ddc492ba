/** Packets watched on their way through the data plane. */
import { isIP } from 'node:net';
import type { TraceFilter } from '../../backends/backend.js';
import { backendOf } from './backend.js';
import { HttpError } from './http-error.js';
import type { Query } from './query.js';
import { list, type Route } from './route.js';
import { type AgentSource, running } from './source.js';

const MOST_SECONDS = 8;
const MOST_PACKETS = 1000;

export function traceRoutes(source: AgentSource): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/trace',
      summary: 'follows packets for some seconds (default 3) and answers with each stage they passed',
      query: ['source', 'destination', 'protocol', 'port', 'limit', 'seconds'],
      handle: async (query) => {
        const seconds = most(query, 'seconds', MOST_SECONDS) ?? 3;
        const trace = await backendOf(running(source)).trace(filterOf(query));
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        return list(await trace.stop());
      },
    },
  ];
}

/** Throws HttpError 400. */
function filterOf(query: Query): TraceFilter {
  const address = (name: string): string | undefined => {
    const text = query.text(name);
    if (text !== null && isIP(text) === 0)
      throw new HttpError(400, `parameter ${name} must be an IP address`);
    return text ?? undefined;
  };
  const fields = {
    source: address('source'),
    destination: address('destination'),
    protocol: most(query, 'protocol', 255),
    port: most(query, 'port', 65535),
    limit: most(query, 'limit', MOST_PACKETS),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function most(query: Query, name: string, limit: number): number | undefined {
  const value = query.integer(name, 1);
  if (value === null) return undefined;
  if (value > limit) throw new HttpError(400, `parameter ${name} must be at most ${limit}`);
  return value;
}
