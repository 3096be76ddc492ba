/**
 * One interface of a real VPP with a pod behind it, and one with the rest of the world, both made of VPP's packet generator: packets
 * go in from files and come out into files, so that nothing but VPP is on the way.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { VppApi } from '../../control/backends/vpp/api/api.js';
import { openVppApi } from '../../control/backends/vpp/api/open.js';
import { typed } from '../../control/backends/vpp/api/typed.js';
import { HandleTable } from '../../control/backends/vpp/objects/handles.js';
import type { VppContext } from '../../control/backends/vpp/objects/types.js';
import { DEFAULT_OPTIONS } from '../../control/backends/vpp/options.js';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative, type Netns } from '../../native/index.js';
import { makeNetns } from '../backends/xdp-rig.js';
import { frame, markerOf } from '../oracle/wire.js';
import { startVpp, type TestVpp } from '../support/vpp.js';

const MACS = { pod: '02:fe:00:00:00:01', world: '02:fe:00:00:00:02' } as const;
const FAR = '02:00:00:00:00:09';
const POLL_MS = 2;

/** A packet, and where it enters. Its last bytes are its marker. */
export interface LabPacket {
  readonly fromPod: boolean;
  readonly ip: Uint8Array;
}

export class PacketLab {
  #runs = 0;

  private constructor(
    readonly vpp: TestVpp,
    readonly api: VppApi,
    readonly context: VppContext,
    private readonly netns: Netns,
  ) {}

  /** `extra`: sections of VPP's startup configuration. `own`: the pod's addresses. */
  static async open(install: VppInstall, own: readonly string[], extra = ''): Promise<PacketLab> {
    const netns = makeNetns(loadNative());
    const vpp = await startVpp(netns.path, install, extra);
    const api = await openVppApi({ socket: vpp.paths.apiSocket, name: 'lab' });
    const handles = new HandleTable();
    const lab = new PacketLab(vpp, api, { api: typed(api), handles, options: DEFAULT_OPTIONS }, netns);
    await lab.#wire(own);
    return lab;
  }

  async #wire(own: readonly string[]): Promise<void> {
    const wires = [
      ['pg0', MACS.pod, ['172.16.0.1/24', 'fd00:172:0::1/64'], ['172.16.0.2', 'fd00:172:0::2']],
      ['pg1', MACS.world, ['172.16.1.1/24', 'fd00:172:1::1/64'], ['172.16.1.2', 'fd00:172:1::2']],
    ] as const;
    for (const [name, mac, prefixes, neighbors] of wires) {
      await this.api.cli(`create packet-generator interface ${name}`);
      await this.api.cli(`set interface mac address ${name} ${mac}`);
      await this.api.cli(`set interface state ${name} up`);
      for (const prefix of prefixes) await this.api.cli(`set interface ip address ${name} ${prefix}`);
      for (const neighbor of neighbors) await this.api.cli(`set ip neighbor ${name} ${neighbor} ${FAR}`);
    }
    for (const address of own) {
      const six = address.includes(':');
      const via = six ? 'fd00:172:0::2' : '172.16.0.2';
      await this.api.cli(`ip route add ${address}/${six ? 128 : 32} via ${via} pg0`);
    }
    await this.api.cli('ip route add 0.0.0.0/0 via 172.16.1.2 pg1');
    await this.api.cli('ip route add ::/0 via fd00:172:1::2 pg1');
    const interfaces = await this.api.dump('sw_interface_dump');
    const pod = interfaces.find(({ interface_name }) => interface_name === 'pg0');
    this.context.handles.set('if/pod/shop/web', Number(pod?.['sw_if_index']));
  }

  /** Sends packets, those of each end in their order; resolves with the markers of those that came out, at whichever end. */
  async play(packets: readonly LabPacket[]): Promise<ReadonlySet<number>> {
    const run = this.#runs++;
    const file = (name: string): string => join(this.vpp.paths.dir, `${run}-${name}.pcap`);
    for (const port of ['pg0', 'pg1']) {
      await this.api.cli(`packet-generator capture ${port} pcap ${file(port)} count ${packets.length + 100}`);
    }
    for (const [port, mac] of [
      ['pg0', MACS.pod],
      ['pg1', MACS.world],
    ] as const) {
      const frames = packets
        .filter(({ fromPod }) => fromPod === (port === 'pg0'))
        .map(({ ip }) => frame(FAR, mac, ip));
      if (frames.length === 0) continue;
      const stream = `s${run}-${port}`;
      writeFileSync(file(stream), pcap(frames));
      await this.api.cli(`packet-generator new pcap ${file(stream)} source ${port} name ${stream}`);
      await this.api.cli(`packet-generator enable-stream ${stream}`);
      while ((await this.#streamLine(stream)).includes('Yes')) await wait(POLL_MS);
      await this.api.cli(`packet-generator delete ${stream}`);
      rmSync(file(stream));
    }
    const seen = new Set<number>();
    for (const port of ['pg0', 'pg1']) {
      await this.api.cli(`packet-generator capture ${port} disable`);
      for (const bytes of readPcap(file(port))) {
        const marker = markerOf(bytes);
        if (marker !== null) seen.add(marker);
      }
      rmSync(file(port), { force: true });
    }
    return seen;
  }

  async #streamLine(stream: string): Promise<string> {
    const lines = (await this.api.cli('show packet-generator')).split('\n');
    return lines.find((line) => line.startsWith(`${stream} `)) ?? '';
  }

  async close(): Promise<void> {
    await this.api.close();
    await this.vpp.close();
    loadNative().deleteNetns(this.netns.path.slice(this.netns.path.lastIndexOf('/') + 1));
    this.netns.close();
  }
}

/** Of frames without timestamps. */
export function pcap(frames: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(1, 20);
  return Buffer.concat([
    header,
    ...frames.flatMap((bytes) => {
      const record = Buffer.alloc(16);
      record.writeUInt32LE(bytes.length, 8);
      record.writeUInt32LE(bytes.length, 12);
      return [record, bytes];
    }),
  ]);
}

function readPcap(path: string): Uint8Array[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return [];
  }
  const frames: Uint8Array[] = [];
  for (let at = 24; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    frames.push(bytes.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return frames;
}
