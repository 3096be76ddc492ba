/**
 * healthCheckNodePort: what load balancers ask a node before they send it traffic of a Service with externalTrafficPolicy Local. Answers as
 * kube-proxy does: 200 if a ready endpoint is on this node and the data plane serves it, else 503, with the count.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { errorText } from '../common/errors.js';
import type { Change, HealthCheckItem, Key, Ruleset } from '../ruleset/types.js';

interface Open {
  readonly server: Server;
  /** What it answers now. */
  item: HealthCheckItem;
}

const RETRY_MS = 5000;

/** A handle: serves until closed. */
export class HealthCheckServer {
  readonly #open = new Map<Key, Open>();
  readonly #retries = new Map<Key, NodeJS.Timeout>();
  #closed = false;
  #serving: () => boolean = () => true;

  /** `host`: the address to listen on; all of the node's by default. `log`: ports that cannot be had. */
  constructor(
    private readonly log: (line: string) => void,
    private readonly host?: string,
  ) {}

  /** Whether the node carries traffic, asked at each check: where it does not, no load balancer must choose it. */
  serves(asked: () => boolean): void {
    this.#serving = asked;
  }

  /**
   * Follows the ruleset: `changes` are those since the last call, null = all may be new. A port that is taken is tried again.
   */
  follow(ruleset: Ruleset, changes: readonly Change[] | null): void {
    if (changes === null) {
      for (const key of [...this.#open.keys(), ...this.#retries.keys()])
        if (!ruleset.has(key)) this.#remove(key);
      for (const item of ruleset.values()) if (item.kind === 'healthcheck') this.#put(item);
      return;
    }
    for (const change of changes) {
      if (change.type === 'remove') {
        if (change.old.kind === 'healthcheck') this.#remove(change.key);
      } else if (change.item.kind === 'healthcheck') this.#put(change.item);
    }
  }

  /** Resolves when every port is free again. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
    const servers = [...this.#open.values()].map(({ server }) => server);
    this.#open.clear();
    await Promise.all(servers.map(end));
  }

  #put(item: HealthCheckItem): void {
    const known = this.#open.get(item.key);
    if (known !== undefined && known.item.port === item.port) {
      known.item = item;
      return;
    }
    this.#remove(item.key);
    this.#listen(item);
  }

  #listen(item: HealthCheckItem): void {
    if (this.#closed) return;
    const open: Open = {
      item,
      server: createServer((_request, response) => answer(open.item, this.#serving(), response)),
    };
    this.#open.set(item.key, open);
    open.server.on('error', (error) => {
      if (this.#open.get(item.key) !== open) return;
      this.log(`health checks of Service ${item.namespace}/${item.name}: ${errorText(error)}`);
      this.#open.delete(item.key);
      const timer = setTimeout(() => {
        this.#retries.delete(item.key);
        this.#listen(open.item);
      }, RETRY_MS);
      this.#retries.set(item.key, timer);
    });
    open.server.listen(item.port, this.host);
  }

  #remove(key: Key): void {
    clearTimeout(this.#retries.get(key));
    this.#retries.delete(key);
    const open = this.#open.get(key);
    this.#open.delete(key);
    if (open !== undefined) void end(open.server);
  }
}

function answer(
  { namespace, name, localEndpoints }: HealthCheckItem,
  serviceProxyHealthy: boolean,
  response: ServerResponse,
): void {
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy };
  response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
    'Content-Type': 'application/json',
    'X-Content-Type-Options': 'nosniff',
    'X-Load-Balancing-Endpoint-Weight': String(localEndpoints),
  });
  response.end(JSON.stringify(body));
}

function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
