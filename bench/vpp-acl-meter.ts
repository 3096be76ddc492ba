/** Clocks a packet in VPP's node of access lists, packets made by VPP itself. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type AclAction, type AclRule, encodeRule } from '../control/backends/vpp/policies/acl-rules.js';
import { ipv4, PROTOCOL_TCP, PROTOCOL_UDP } from '../control/sim/memory/packet.js';
import { SYN, tcp, udp } from '../control/sim/memory/transport.js';
import { frame } from '../test/oracle/wire.js';
import { installedVpp } from '../test/support/vpp.js';
import { PacketLab, pcap } from '../test/vpp/packet-lab.js';
import type { Flow } from './vpp-acl-workload.js';

const NODE = 'acl-plugin-out-ip4-fa';
const NEW_LIST = 0xffffffff;
const SOURCE_PORTS = 20;
const STARTUP = 'acl-plugin { connection count max 2000000 }\n';

export class AclMeter {
  #list = NEW_LIST;
  #streams = 0;
  #firstPort = 10_000;

  private constructor(
    private readonly lab: PacketLab,
    private readonly address: string,
  ) {}

  /** `address`: of the pod whose output is measured. */
  static async open(address: string): Promise<AclMeter> {
    return new AclMeter(await PacketLab.open(installedVpp(), [address], STARTUP), address);
  }

  /** Brings the rules into force; without `sessions` every packet is looked up. Milliseconds it took VPP. */
  async bring(rules: readonly AclRule[], sessions: boolean): Promise<number> {
    const action = (given: AclAction): AclAction => (given === 'reflect' && !sessions ? 'permit' : given);
    const r = rules.map((rule) => encodeRule({ ...rule, action: action(rule.action) }));
    const { api, context } = this.lab;
    const began = performance.now();
    const list = { acl_index: this.#list, tag: 'bench', count: r.length, r };
    this.#list = Number((await api.request('acl_add_replace', list))['acl_index']);
    const sw_if_index = context.handles.get('if/pod/shop/web');
    await api.request('acl_interface_set_acl_list', {
      sw_if_index,
      count: 1,
      n_input: 0,
      acls: [this.#list],
    });
    return performance.now() - began;
  }

  /** How many tables VPP made of the rules in force. */
  async tables(): Promise<number> {
    const text = await this.lab.api.cli('show acl-plugin tables applied');
    return text.match(/num_entries/g)?.length ?? 0;
  }

  /** Source ports that no packet had before. */
  freshPorts(): number {
    this.#firstPort += SOURCE_PORTS;
    return this.#firstPort;
  }

  /** Clocks a packet while these flows pass, one packet each, as often as is asked. */
  async measure(flows: readonly Flow[], firstPort: number, repeats: number): Promise<number[]> {
    const { api, vpp } = this.lab;
    const name = `m${this.#streams++}`;
    const file = join(vpp.paths.dir, `${name}.pcap`);
    writeFileSync(file, pcap(flows.map((flow, i) => this.#packet(flow, firstPort + (i % SOURCE_PORTS)))));
    await api.cli(`packet-generator new pcap ${file} source pg1 name ${name} limit ${flows.length}`);
    const clocks: number[] = [];
    for (let i = 0; i < repeats; i++) {
      await api.cli('clear runtime');
      await api.cli(`packet-generator enable-stream ${name}`);
      while ((await this.#line('show packet-generator', `${name} `)).includes('Yes')) await wait(1);
      // Name, state, calls, vectors, suspends, clocks, vectors a call.
      const [, , , packets, , each] = (await this.#line('show runtime', NODE)).trim().split(/\s+/);
      if (Number(packets) !== flows.length) throw new Error(`${packets} of ${flows.length} packets seen`);
      clocks.push(Number(each));
    }
    await api.cli(`packet-generator delete ${name}`);
    rmSync(file);
    return clocks;
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  async #line(command: string, start: string): Promise<string> {
    const lines = (await this.lab.api.cli(command)).split('\n');
    return lines.find((line) => line.startsWith(start)) ?? '';
  }

  #packet({ source, protocol, port }: Flow, sourcePort: number): Uint8Array {
    const destination = this.address;
    const ports = { sourcePort, destinationPort: port, payload: new Uint8Array(10) };
    const isTcp = protocol === 'TCP';
    const payload = isTcp
      ? tcp({ ...ports, sequence: 1, acknowledgment: 0, flags: SYN }, source, destination)
      : udp(ports, source, destination);
    const packet = ipv4({ source, destination, payload, protocol: isTcp ? PROTOCOL_TCP : PROTOCOL_UDP });
    return frame('02:00:00:00:00:09', '02:fe:00:00:00:02', packet);
  }
}
