/**
 * What several descriptors ask for while VPP is read, VPP is asked once: all interfaces, the features of one. What changes VPP passes
 * as it is.
 */
import type { Fields, VppApi } from '../api/api.js';

export class ReadOnce implements VppApi {
  readonly lost: Promise<Error>;
  readonly #dumps = new Map<string, Promise<readonly Fields[]>>();
  readonly #shown = new Map<string, Promise<string>>();

  constructor(private readonly api: VppApi) {
    this.lost = api.lost;
  }

  get version(): string {
    return this.api.version;
  }

  get pid(): number {
    return this.api.pid;
  }

  /** To be called when what was read may be so no longer. */
  forget(): void {
    this.#dumps.clear();
    this.#shown.clear();
  }

  has(message: string): boolean {
    return this.api.has(message);
  }

  lacks(message: string): string | null {
    if (this.api.lacks !== undefined) return this.api.lacks(message);
    return this.api.has(message) ? null : `VPP has no ${message}`;
  }

  request(...[message, fields]: Parameters<VppApi['request']>): ReturnType<VppApi['request']> {
    return this.api.request(message, fields);
  }

  dump(message: string, fields: Fields = {}): Promise<readonly Fields[]> {
    const question = `${message} ${JSON.stringify(fields, asText)}`;
    const known = this.#dumps.get(question) ?? this.api.dump(message, fields);
    this.#dumps.set(question, known);
    return known;
  }

  cli(command: string): Promise<string> {
    if (!command.startsWith('show ')) return this.api.cli(command);
    const known = this.#shown.get(command) ?? this.api.cli(command);
    this.#shown.set(command, known);
    return known;
  }

  onEvent(...[message, listener]: Parameters<VppApi['onEvent']>): () => void {
    return this.api.onEvent(message, listener);
  }

  close(): Promise<void> {
    return this.api.close();
  }
}

function asText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
