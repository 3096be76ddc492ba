/** Keeps one etcd lease alive, over whichever endpoint answers, and knows when it is lost: etcd says so, or its time is over. */
import type { EtcdConnection } from './etcd-connection.js';

type LeaseStream = Awaited<ReturnType<ReturnType<EtcdConnection['client']>['lease']['leaseKeepAlive']>>;

export class EtcdLease {
  /** Resolves when it is lost or ended. */
  readonly lost: Promise<void>;
  #stream: LeaseStream | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** When the keep-alive that was answered last had been sent (monotonic milliseconds). */
  #kept: number;
  /** When the keep-alives that wait for their answers were sent. */
  #waiting: number[] = [];
  #ended = false;
  #resolve: () => void = () => undefined;

  constructor(
    private readonly connection: EtcdConnection,
    readonly id: string,
    /** Granted by etcd, which may be more than was asked for. */
    private readonly ttlMs: number,
    grantedAt: number,
  ) {
    this.#kept = grantedAt;
    this.lost = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#beat();
  }

  /** Stops keeping it alive. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#drop();
    this.#resolve();
  }

  #beat(): void {
    if (this.#ended) return;
    // After a pause of the whole process this runs first: what ran out meanwhile is lost before anything else happens.
    if (performance.now() - this.#kept >= this.ttlMs) {
      this.end();
      return;
    }
    this.#timer = setTimeout(() => this.#beat(), this.ttlMs / 4);
    // A stream that leaves two beats unanswered is of no use.
    if (this.#waiting.length > 1) this.#drop();
    this.#send().catch(() => this.#drop());
  }

  async #send(): Promise<void> {
    const client = this.connection.client();
    if (this.#stream === null) {
      const stream = await client.lease.leaseKeepAlive();
      if (this.#ended) {
        stream.cancel();
        return;
      }
      this.#stream = stream;
      const broken = (): void => {
        if (this.#stream === stream) this.#drop();
      };
      stream.on('error', broken).on('end', broken);
      stream.on('data', (response) => {
        if (Number(response.TTL) <= 0) this.end();
        else this.#kept = this.#waiting.shift() ?? this.#kept;
      });
    }
    this.#waiting.push(performance.now());
    this.#stream.write({ ID: this.id });
  }

  #drop(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#waiting = [];
    stream?.cancel();
  }
}
