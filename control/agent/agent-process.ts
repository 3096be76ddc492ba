/**
 * The agent as its process has it: not there yet, waiting for something, or running. CNI and REST are served from the first
 * moment on, and say what it waits for.
 */
import { CNI } from '../cni/codes.js';
import { type CniReply, type CniRequest, type CniService, failureReply } from '../cni/messages.js';
import { errorText } from '../common/errors.js';
import type { ClusterConfig } from '../compiler/input.js';
import { Agent } from './agent.js';
import type { AgentOptions } from './agent-options.js';
import { NodeIdConflictError, NodeIdsExhaustedError } from './errors.js';
import type { AgentSource } from './http/source.js';

/** Pause before a claim that was refused is made again, milliseconds: somebody has to put the store right first. */
const REFUSED_PAUSE_MS = 2000;

export class AgentProcess implements AgentSource {
  agent: Agent | null = null;
  waiting: string | null = null;
  /** The agent's answers once it runs. */
  readonly cni: CniService;

  constructor(
    readonly node: string,
    readonly version: string,
    readonly config: ClusterConfig,
  ) {
    const call = (method: Exclude<keyof CniService, 'status'>) => {
      return async (request: CniRequest): Promise<CniReply> =>
        this.agent === null ? this.#notYet(CNI.tryAgainLater) : this.agent.cni[method](request);
    };
    this.cni = {
      add: call('add'),
      delete: call('delete'),
      check: call('check'),
      gc: call('gc'),
      status: async (request) =>
        this.agent === null ? this.#notYet(CNI.unavailable) : this.agent.cni.status(request),
    };
  }

  /**
   * Starts the agent; undefined when `asked` comes first. A claim to the node's id or addresses that is refused is made
   * again until it is granted, and told meanwhile. Throws whatever else Agent.start throws.
   */
  async start(
    options: AgentOptions,
    asked: Promise<undefined>,
    refusedPauseMs = REFUSED_PAUSE_MS,
  ): Promise<Agent | undefined> {
    for (;;) {
      const starting = Agent.start({
        ...options,
        waiting: (reason) => {
          this.waiting = reason;
        },
      });
      try {
        const agent = await Promise.race([starting, asked]);
        this.agent = agent ?? null;
        this.waiting = null;
        return agent;
      } catch (error) {
        if (!(error instanceof NodeIdConflictError) && !(error instanceof NodeIdsExhaustedError)) throw error;
        if (this.waiting !== errorText(error)) options.log?.(`cannot start: ${errorText(error)}`);
        this.waiting = errorText(error);
      }
      if (await endedWithin(asked, refusedPauseMs)) return undefined;
    }
  }

  #notYet(code: number): CniReply {
    const why = this.waiting === null ? '' : `: ${this.waiting}`;
    return failureReply(code, `the agent is starting${why}`);
  }
}

async function endedWithin(asked: Promise<undefined>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const pause = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([asked.then(() => true), pause]);
  } finally {
    clearTimeout(timer);
  }
}
