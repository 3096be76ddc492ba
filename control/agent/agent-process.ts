/**
 * The agent as its process has it: not there yet, waiting for something, or running. CNI and REST are served from the first
 * moment on, and say what it waits for. Only DEL is done at once: a pod that ends must not wait for what may be away for long.
 */
import { CNI } from '../cni/codes.js';
import { type CniReply, type CniRequest, type CniService, DONE, failureReply } from '../cni/messages.js';
import { errorText } from '../common/errors.js';
import type { ClusterConfig } from '../compiler/input.js';
import { Agent } from './agent.js';
import type { AgentOptions } from './agent-options.js';
import { answer } from './cni-handler.js';
import { sandboxOf } from './cni-sandbox.js';
import { sweepSandbox } from './cni-sweep.js';
import { NodeIdConflictError, NodeIdsExhaustedError } from './errors.js';
import type { AgentSource } from './http/source.js';
import type { LinkDriver } from './links.js';

/** Pause before a claim that was refused is made again, milliseconds: somebody has to put the store right first. */
const REFUSED_PAUSE_MS = 2000;

export class AgentProcess implements AgentSource {
  agent: Agent | null = null;
  waiting: string | null = null;
  /** The agent's answers once it runs. */
  readonly cni: CniService;
  /** A runtime has asked STATUS: one of CNI 1.1, which goes on asking. */
  statusAsked = false;
  /** null: not started yet. */
  #links: LinkDriver | null = null;
  /** Links were removed that the agent may have taken up by then. */
  #swept = false;

  constructor(
    readonly node: string,
    readonly version: string,
    readonly config: ClusterConfig,
  ) {
    const call = (method: 'add' | 'check' | 'gc') => {
      return async (request: CniRequest): Promise<CniReply> =>
        this.agent === null ? this.#notYet(CNI.tryAgainLater) : this.agent.cni[method](request);
    };
    this.cni = {
      add: call('add'),
      delete: async (request) =>
        this.agent === null ? this.#sweep(request) : this.agent.cni.delete(request),
      check: call('check'),
      gc: call('gc'),
      status: async (request) => {
        this.statusAsked = true;
        return this.agent === null ? this.#notYet(CNI.unavailable) : this.agent.cni.status(request);
      },
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
    this.#links = options.links;
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
        if (this.#swept) await agent?.audit();
        return agent;
      } catch (error) {
        if (!(error instanceof NodeIdConflictError) && !(error instanceof NodeIdsExhaustedError)) throw error;
        if (this.waiting !== errorText(error)) options.log?.(`cannot start: ${errorText(error)}`);
        this.waiting = errorText(error);
      }
      if (await endedWithin(asked, refusedPauseMs)) return undefined;
    }
  }

  /** Without its link the pod is gone: the agent's audit frees the rest. */
  #sweep(request: CniRequest): Promise<CniReply> {
    const links = this.#links;
    if (links === null) return Promise.resolve(this.#notYet(CNI.tryAgainLater));
    return answer(async () => {
      this.#swept = true;
      await sweepSandbox(links, sandboxOf(request));
      return DONE;
    });
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
