/** What the data plane should have, what it really has, and the difference. */
import { compareText } from '../../ruleset/canonical.js';
import { diffRulesets } from '../../ruleset/diff.js';
import type { Item, Ruleset } from '../../ruleset/types.js';
import type { Agent } from '../agent.js';
import { backendOf } from './backend.js';
import type { Query } from './query.js';
import { json, list, type Route } from './route.js';
import { type AgentSource, running } from './source.js';

const FILTERS = ['kind', 'prefix'];

export function rulesetRoutes(source: AgentSource): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/ruleset',
      summary: 'the compiled ruleset the data plane should have, sorted by key',
      query: FILTERS,
      handle: (query) => {
        const agent = running(source);
        return list(select(agent.state.ruleset, query), { revision: agent.revisions.known });
      },
    },
    {
      method: 'GET',
      path: '/backend',
      summary: 'what the data plane really has, read back from it, sorted by key',
      query: FILTERS,
      handle: async (query) => list(select(await dump(running(source)), query)),
    },
    {
      method: 'GET',
      path: '/drift',
      summary: 'how the data plane differs from the ruleset: what a downstream resync would change',
      query: [],
      handle: async () => {
        const agent = running(source);
        return list(diffRulesets(await dump(agent), agent.state.ruleset));
      },
    },
    {
      method: 'GET',
      path: '/counters',
      summary: 'the data plane’s counters: interfaces, outcomes, services, rules, sessions',
      query: [],
      handle: async () => json(await backendOf(running(source)).counters()),
    },
  ];
}

function dump(agent: Agent): Promise<Ruleset> {
  return backendOf(agent).dump();
}

/** Items by kind and by the start of their key. Keys are sorted, so that two dumps can be compared as text. */
function select(ruleset: Ruleset, query: Query): readonly Item[] {
  const [kind, prefix] = [query.text('kind'), query.text('prefix') ?? ''];
  return [...ruleset.values()]
    .filter((item) => item.key.startsWith(prefix) && (kind === null || item.kind === kind))
    .sort((a, b) => compareText(a.key, b.key));
}
