/** Frames a second from one pod's program to another's, which have rings in shared memory instead of a stack (vpp-pods/pods.c). */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ipv4, PROTOCOL_UDP } from '../control/sim/memory/packet.js';
import { udp } from '../control/sim/memory/transport.js';
import { gatewayMac, podMac } from '../test/backends/items.js';
import { frame } from '../test/oracle/wire.js';
import { buildProgram } from './peers/build.js';
import { CLIENT, type Lab, SERVER } from './vpp-pods-lab.js';

const FLOWS = 1024;
const FIRST_PORT = 10_000;
/** Forwarding has the first core, both programs have the other. */
const FORWARDER = 0;
const PROGRAMS = 1;
const WARM_MS = 150;
/** Short, so that some are not interrupted by others on the machine. */
const WINDOW_MS = 40;
const WINDOWS = 15;

/** Bytes of the IP packet: the smallest Ethernet frame's, and one of a TCP stream at an MTU of 1,500 or a little less. */
export const SIZES = { small: 46, large: 1448 } as const;
export type Size = keyof typeof SIZES;

const run = promisify(execFile);

export class FrameMeter {
  readonly #dir = mkdtempSync(join(tmpdir(), 'pteropus-pods-'));

  private constructor(private readonly program: string) {
    for (const size of Object.keys(SIZES) as Size[])
      writeFileSync(this.#file(size), Buffer.concat(calls(size)));
  }

  /** Why not, where there is no C compiler. */
  static open(): FrameMeter | string {
    const files = ['pods', 'memif', 'xsk'].map((name) => `../vpp-pods/${name}.c`);
    const built = buildProgram('pods', files);
    return 'missing' in built ? built.missing : new FrameMeter(built.path);
  }

  /** Frames a second that arrive, where forwarding has a core of its own or where it shares the sender's, whichever is faster. */
  async measure(lab: Lab, size: Size): Promise<number> {
    const alone = await this.#rate(lab, size, FORWARDER);
    return Math.max(alone, await this.#rate(lab, size, null));
  }

  /** The best of the windows. */
  async #rate(lab: Lab, size: Size, core: number | null): Promise<number> {
    if (lab.ends === null) throw new Error(`${lab.name}: no ends`);
    const times = [PROGRAMS, WARM_MS, WINDOW_MS, WINDOWS].map(String);
    const length = String(ETHERNET + SIZES[size]);
    lab.pin(core);
    try {
      const { stdout } = await run(this.program, [this.#file(size), length, ...times, ...lab.ends]);
      return Math.max(...stdout.trim().split('\n').map(Number));
    } finally {
      lab.pin(null);
    }
  }

  close(): void {
    rmSync(this.#dir, { recursive: true });
  }

  #file(size: Size): string {
    return join(this.#dir, size);
  }
}

const ETHERNET = 14;
const HEADERS = 28;

/** UDP packets of the client to the server, each of its own flow. */
function calls(size: Size): Uint8Array[] {
  return Array.from({ length: FLOWS }, (_, flow) => {
    const ports = { sourcePort: FIRST_PORT + flow, destinationPort: 8080 };
    const payload = udp({ ...ports, payload: new Uint8Array(SIZES[size] - HEADERS) }, CLIENT, SERVER);
    const packet = ipv4({ source: CLIENT, destination: SERVER, payload, protocol: PROTOCOL_UDP });
    return frame(podMac(1, 1), gatewayMac(1), packet);
  });
}
