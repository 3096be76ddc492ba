/** What the data plane should have, what it really has, and the difference. */
import { compareText } from '../../ruleset/canonical.js';
import { diffRulesets } from '../../ruleset/diff.js';
import { formatChanges, formatItems } from '../../ruleset/format.js';
import type { Change, Item, Ruleset } from '../../ruleset/types.js';
import type { Agent } from '../agent.js';
import { backendOf } from './backend.js';
import { HttpError } from './http-error.js';
import type { Query } from './query.js';
import { type Answer, json, list, type Route, type TextAnswer } from './route.js';
import { type AgentSource, running } from './source.js';

const FORM = 'as';
const FILTERS = ['kind', 'prefix', FORM];

export function rulesetRoutes(source: AgentSource): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/ruleset',
      summary: 'the compiled ruleset the data plane should have, sorted by key',
      query: FILTERS,
      handle: (query) => {
        const agent = running(source);
        const items = select(agent.state.ruleset, query);
        return asText(query) ? text(formatItems(items)) : list(items, { revision: agent.revisions.known });
      },
    },
    {
      method: 'GET',
      path: '/backend',
      summary: 'what the data plane really has, read back from it, sorted by key',
      query: FILTERS,
      handle: async (query) => {
        const items = select(await dump(running(source)), query);
        return asText(query) ? text(formatItems(items)) : list(items);
      },
    },
    {
      method: 'GET',
      path: '/drift',
      summary: 'how the data plane differs from the ruleset: what a downstream resync would change',
      query: [FORM],
      handle: async (query): Promise<Answer> => {
        const agent = running(source);
        const changes: readonly Change[] = diffRulesets(await dump(agent), agent.state.ruleset);
        return asText(query) ? text(formatChanges(changes)) : list(changes);
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

/** `as=text`: lines for a person instead of JSON. */
function asText(query: Query): boolean {
  const form = query.text(FORM);
  if (form !== null && form !== 'text' && form !== 'json') {
    throw new HttpError(400, `parameter ${FORM}: text or json is needed`);
  }
  return form === 'text';
}

function text(lines: string): TextAnswer {
  return { status: 200, contentType: 'text/plain; charset=utf-8', text: lines };
}

/** Items by kind and by the start of their key. Keys are sorted, so that two dumps can be compared as text. */
function select(ruleset: Ruleset, query: Query): readonly Item[] {
  const [kind, prefix] = [query.text('kind'), query.text('prefix') ?? ''];
  return [...ruleset.values()]
    .filter((item) => item.key.startsWith(prefix) && (kind === null || item.kind === kind))
    .sort((a, b) => compareText(a.key, b.key));
}
