/** What the REST interface and the metrics look at: the agent once it runs, and why it does not run yet. */
import type { ClusterConfig } from '../../compiler/input.js';
import type { Agent } from '../agent.js';
import { HttpError } from './http-error.js';

export interface AgentSource {
  readonly node: string;
  readonly version: string;
  readonly config: ClusterConfig;
  /** null: it waits for something, or is starting. */
  readonly agent: Agent | null;
  /** What it waits for; null = nothing. */
  readonly waiting: string | null;
}

/** Throws HttpError 503 while the agent does not run. */
export function running({ agent, waiting }: AgentSource): Agent {
  if (agent !== null) return agent;
  throw new HttpError(503, `the agent is starting${waiting === null ? '' : `: ${waiting}`}`, {
    'Retry-After': '1',
  });
}
