/** The tracer against an API that plays VPP. */
import { setTimeout as wait } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { rejects } from '../../../../test/support/rejects.js';
import type { Fields } from '../api/api.js';
import { VppRetvalError } from '../api/errors.js';
import type { InForce } from '../observe.js';
import { recordedTraces } from './recorded.js';
import { TraceBusyError, Tracer } from './tracer.js';

const test = suite('vpp tracer');
const [RECORDED] = recordedTraces();

/** Answers from what was recorded. */
class FakeVpp {
  readonly commands: string[] = [];
  shown = RECORDED?.text ?? '';
  known = ['af-packet-input'];

  state(): InForce {
    const api = {
      cli: (command: string) => this.#cli(command),
      dump: async (): Promise<Fields[]> =>
        [...(RECORDED?.interfaces.byIndex ?? [])].map(([sw_if_index, interface_name]) => ({
          sw_if_index,
          interface_name,
        })),
    };
    return { ...RECORDED?.state, api } as unknown as InForce;
  }

  async #cli(command: string): Promise<string> {
    this.commands.push(command);
    const [, node] = /^trace add (\S+)/.exec(command) ?? [];
    if (node !== undefined && !this.known.includes(node)) throw new VppRetvalError('cli_inband', -1);
    if (command.startsWith('show trace')) return this.shown;
    return command === 'show hardware-interfaces' ? (RECORDED?.hardware ?? '') : '';
  }

  count(start: string): number {
    return this.commands.filter((command) => command.startsWith(start)).length;
  }
}

test('takes what matches, leaves nothing running, and may begin again', async () => {
  const vpp = new FakeVpp();
  const tracer = new Tracer();
  const trace = await tracer.start(vpp.state(), { source: '10.1.1.2', port: 10, protocol: 17, limit: 2 });
  await rejects(() => tracer.start(vpp.state(), {}), TraceBusyError);
  const steps = await trace.stop();
  assert.equal(await trace.stop(), steps);
  assert.equal([...new Set(steps.map(({ packet }) => packet))], [1, 2]);
  assert.match(steps[0]?.text ?? '', '10.1.1.3:10');
  assert.is(vpp.commands.filter((command) => command === 'clear trace').length, 2);
  assert.is(vpp.commands.indexOf('clear trace'), 0, 'what others traced is not ours');
  await (await tracer.start(vpp.state(), {})).stop();
});

test('a VPP that traces none of its inputs is an error, and no trace is running then', async () => {
  const vpp = new FakeVpp();
  vpp.known = [];
  const tracer = new Tracer();
  await rejects(() => tracer.start(vpp.state(), {}), Error);
  vpp.known = ['virtio-input'];
  await (await tracer.start(vpp.state(), {})).stop();
});

test('what is full is emptied and goes on', async () => {
  const vpp = new FakeVpp();
  const one = vpp.shown;
  vpp.shown = Array.from({ length: 30 }, () => one).join('\n');
  const tracer = new Tracer();
  const trace = await tracer.start(vpp.state(), { port: 9, limit: 40 });
  const end = performance.now() + 5000;
  while (vpp.count('trace add') < 12 && performance.now() < end) await wait(10);
  vpp.shown = one;
  const packets = new Set((await trace.stop()).map(({ packet }) => packet));
  assert.ok(packets.size > 30, `${packets.size}`);
});

test('a trace nobody stopped ends with the backend', async () => {
  const vpp = new FakeVpp();
  const tracer = new Tracer();
  await tracer.start(vpp.state(), {});
  await tracer.close();
  assert.is(vpp.commands.filter((command) => command === 'clear trace').length, 2);
  await tracer.close();
});

test.run();
