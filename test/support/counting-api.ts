/** A connection to VPP that remembers what was asked of it. */
import type { VppApi } from '../../control/backends/vpp/api/api.js';

/** Messages that change nothing. */
const READS =
  /_get(_|$)|_dump$|(^|_)show_|^feature_is_enabled$|^control_ping$|^classify_table_(ids|info|by_interface)$/;

export interface CountingApi extends VppApi {
  /** How many messages were sent. */
  readonly sent: number;
  /** Messages and commands that change something, in order. */
  readonly changes: readonly string[];
}

export function countingApi(api: VppApi): CountingApi {
  return new Counting(api);
}

class Counting implements CountingApi {
  sent = 0;
  readonly changes: string[] = [];
  readonly lost: Promise<Error>;

  constructor(private readonly api: VppApi) {
    this.lost = api.lost;
  }

  get version(): string {
    return this.api.version;
  }

  get pid(): number {
    return this.api.pid;
  }

  has(message: string): boolean {
    return this.api.has(message);
  }

  request(...[message, fields]: Parameters<VppApi['request']>): ReturnType<VppApi['request']> {
    this.sent++;
    if (!READS.test(message)) this.changes.push(message);
    return this.api.request(message, fields);
  }

  dump(...[message, fields]: Parameters<VppApi['dump']>): ReturnType<VppApi['dump']> {
    this.sent++;
    return this.api.dump(message, fields);
  }

  cli(command: string): Promise<string> {
    this.sent++;
    if (!command.startsWith('show ')) this.changes.push(command);
    return this.api.cli(command);
  }

  onEvent(...[message, listener]: Parameters<VppApi['onEvent']>): () => void {
    return this.api.onEvent(message, listener);
  }

  close(): Promise<void> {
    return this.api.close();
  }
}
