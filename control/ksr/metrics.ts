/** What ksr counts, for Prometheus. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { RESOURCES, type ReflectedKind } from './resources.js';

/** What gauges ask when they are read. */
export interface KsrGauges {
  count(kind: ReflectedKind): number;
  problems(kind: ReflectedKind): number;
  leads(): boolean;
  ready(): boolean;
  behind(): number;
}

export class KsrMetrics {
  readonly registry = new Registry();
  readonly #events = this.#counter('api_events_total', 'Changes the API told', ['kind', 'type']);
  readonly #listings = this.#counter('api_listings_total', 'Listings of a kind', ['kind']);
  readonly #gaps = this.#counter('api_gaps_total', 'Watches that had to be replaced by a listing', ['kind']);
  readonly #writes = this.#counter('store_writes_total', 'Objects written to the store', [
    'kind',
    'operation',
  ]);
  readonly #sweepErrors = this.#counter('sweep_errors_total', 'Sweeps and writes the store failed', []);
  readonly #troubles = this.#counter('troubles_total', 'Failures of the API (by kind) and of the store', [
    'about',
  ]);
  readonly #released = this.#counter('nodes_released_total', 'Node ids given back, their nodes gone', []);
  readonly #sweeps = new Histogram({
    name: 'pteropus_ksr_sweep_seconds',
    help: 'Time to compare and bring the whole store to what the API says',
    buckets: [0.1, 0.3, 1, 3, 10, 30, 100],
    registers: [this.registry],
  });

  /** `certificates`: what is wrong with them now, a line each. */
  constructor(certificates: () => readonly string[] = () => []) {
    collectDefaultMetrics({ register: this.registry });
    this.#gauge('certificate_problems', 'Certificates that ran out, or will within 30 days', [], (gauge) =>
      gauge.set(certificates().length),
    );
    for (const { kind } of RESOURCES) {
      for (const operation of ['add', 'update', 'delete']) this.#writes.inc({ kind, operation }, 0);
    }
  }

  /** Gauges read what is so at that moment. */
  follow(gauges: KsrGauges): void {
    this.#gauge('objects', 'Objects of the API', ['kind'], (gauge) => {
      for (const { kind } of RESOURCES) gauge.set({ kind }, gauges.count(kind));
    });
    this.#gauge('problem_objects', 'Objects of which something is not honoured', ['kind'], (gauge) => {
      for (const { kind } of RESOURCES) gauge.set({ kind }, gauges.problems(kind));
    });
    this.#gauge('leader', '1 while this one leads', [], (gauge) => gauge.set(gauges.leads() ? 1 : 0));
    this.#gauge('ready', '1 while everything is reflected, or another one leads', [], (gauge) =>
      gauge.set(gauges.ready() ? 1 : 0),
    );
    this.#gauge('behind', 'Objects that wait to be written', [], (gauge) => gauge.set(gauges.behind()));
  }

  event(kind: ReflectedKind, type: 'put' | 'delete'): void {
    this.#events.inc({ kind, type });
  }

  listed(kind: ReflectedKind): void {
    this.#listings.inc({ kind });
  }

  gap(kind: ReflectedKind): void {
    this.#gaps.inc({ kind });
  }

  written(operation: 'add' | 'update' | 'delete', kind: string): void {
    this.#writes.inc({ kind, operation });
  }

  swept(seconds: number): void {
    this.#sweeps.observe(seconds);
  }

  sweepFailed(): void {
    this.#sweepErrors.inc();
  }

  nodeReleased(): void {
    this.#released.inc();
  }

  trouble(about: string): void {
    this.#troubles.inc({ about });
  }

  #counter<T extends string>(name: string, help: string, labelNames: readonly T[]): Counter<T> {
    return new Counter({ name: `pteropus_ksr_${name}`, help, labelNames, registers: [this.registry] });
  }

  #gauge<T extends string>(
    name: string,
    help: string,
    labelNames: readonly T[],
    collect: (gauge: Gauge<T>) => void,
  ): void {
    new Gauge<T>({
      ...{ name: `pteropus_ksr_${name}`, help, labelNames, registers: [this.registry] },
      collect() {
        collect(this);
      },
    });
  }
}
