import * as assert from 'node:assert/strict';
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { program, root, testIf } from '../test/support/requires.js';
import { loadNative, type Netns } from './index.js';

const test = suite('pteropus-pod');
const it = testIf(test, root(), program('ip'));
const itWithCurl = testIf(test, root(), program('ip'), program('curl'));

const PROGRAM = fileURLToPath(new URL('../../native/pteropus-pod', import.meta.url));
const name = (label: string): string => `pterNp-${process.pid}-${label}`;

/** A running pteropus-pod: lines in, lines out. */
class Pod {
  private readonly lines: string[] = [];
  private waiting: (() => void)[] = [];

  private constructor(readonly child: ChildProcessByStdio<Writable, Readable, null>) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.lines.push(line);
      for (const look of this.waiting.splice(0)) look();
    });
  }

  static async start(label: string, ...args: string[]): Promise<Pod> {
    const pod = new Pod(
      spawn(PROGRAM, ['--name', `ns/${label}`, '--netns', `/run/netns/${name(label)}`, ...args], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    await pod.line(/^ready$/);
    return pod;
  }

  /** The first line not yet taken that matches. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const at = this.lines.findIndex((line) => pattern.test(line));
      if (at >= 0) return this.lines.splice(at, 1)[0]!;
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
      });
    }
  }

  async ask(command: string): Promise<string[]> {
    this.child.stdin.write(`${command}\n`);
    const id = command.split(' ')[1];
    return (await this.line(new RegExp(`^(result|opened|failed|done) ${id}( |$)`))).split(' ');
  }

  /** Outcome and text of a probe. */
  async probe(id: number, what: string): Promise<string> {
    const [, , outcome, , ...text] = await this.ask(`probe ${id} ${what}`);
    return `${outcome} ${text.join(' ')}`;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.stdin.end();
    await exit;
  }
}

/** a (10.8.0.1, fd08::1) and b (10.8.0.2, fd08::2) side by side; b also routes for 10.8.9.0/24, where nobody is. */
async function withPods(body: (a: Pod, b: Pod, netnsB: Netns) => Promise<void>): Promise<void> {
  const native = loadNative();
  const a = native.createNetns(name('a'));
  const b = native.createNetns(name('b'));
  const pods: Pod[] = [];
  try {
    a.createVeth({ name: 'eth0' }, { name: 'eth0', netns: b });
    [a, b].forEach((netns, n) => {
      netns.setLink('eth0', { up: true });
      netns.addAddress('eth0', `10.8.0.${n + 1}/24`);
      netns.addAddress('eth0', `fd08::${n + 1}/64`);
      // No type is limited: the limit over all peers starts at nothing in a namespace this young.
      netns.setSysctl('net/ipv4/icmp_ratemask', '0');
    });
    a.addRoute({ destination: '10.8.9.0/24', link: 'eth0', gateway: '10.8.0.2' });
    b.setSysctl('net/ipv4/ip_forward', '1');
    pods.push(await Pod.start('a'), await Pod.start('b', '--tcp', '80', '--udp', '53', '--sctp', '9'));
    await body(pods[0]!, pods[1]!, b);
  } finally {
    await Promise.all(pods.map((pod) => pod.end()));
    a.close();
    b.close();
    native.deleteNetns(name('a'));
    native.deleteNetns(name('b'));
  }
}

it('probes tell every way a destination can answer', () =>
  withPods(async (a, _b, netnsB) => {
    // An address on lo whose packets nobody answers: b drops them for want of a way back.
    netnsB.addAddress('lo', '10.8.1.1/32');
    const probes: Record<string, string> = {
      'tcp 10.8.0.2 80 2000': 'connected ns/b',
      'udp 10.8.0.2 53 2000': 'connected ns/b',
      'icmp 10.8.0.2 0 2000': 'connected 10.8.0.2',
      'tcp fd08::2 80 2000': 'connected ns/b',
      'udp fd08::2 53 2000': 'connected ns/b',
      'icmp fd08::2 0 2000': 'connected fd08::2',
      'tcp 10.8.0.2 81 2000': 'refused -',
      'udp 10.8.0.2 54 2000': 'refused 10.8.0.2',
      'udp fd08::2 54 2000': 'refused fd08::2',
      // b has no route there.
      'tcp 10.8.9.9 80 2000': 'rejected 10.8.0.2',
      'udp 10.8.9.9 80 2000': 'rejected 10.8.0.2',
      'icmp 10.8.9.9 0 2000': 'rejected 10.8.0.2',
      'tcp 10.9.0.1 80 300': 'error Network-is-unreachable',
      'tcp ten.eight 80 300': 'error not-an-address',
      'sctp 10.8.0.2 80 300': 'error unknown-protocol',
    };
    const reject = ['netns', 'exec', name('b'), 'ip', 'route', 'add', 'unreachable', '10.8.9.0/24'];
    execFileSync('ip', reject);
    const results = await Promise.all(Object.keys(probes).map((what, id) => a.probe(id + 1, what)));
    assert.deepEqual(Object.fromEntries(Object.keys(probes).map((what, i) => [what, results[i]])), probes);
  }));

it('probes end in time where nothing answers', () =>
  withPods(async (a, _b, netnsB) => {
    execFileSync('ip', ['netns', 'exec', name('b'), 'ip', 'route', 'add', 'blackhole', '10.8.9.0/24']);
    const start = Date.now();
    const results = await Promise.all(
      ['tcp', 'udp', 'icmp'].map((protocol, id) => a.probe(id, `${protocol} 10.8.9.9 80 300`)),
    );
    assert.deepEqual(results, ['timeout -', 'timeout -', 'timeout -']);
    assert.ok(Date.now() - start < 1500);
    // A datagram that is lost is asked again: b answers only after its link has come back.
    netnsB.setLink('eth0', { up: false });
    const late = a.probe(9, 'udp 10.8.0.2 53 5000');
    netnsB.setLink('eth0', { up: true });
    assert.equal(await late, 'connected ns/b');
  }));

it('takes a thousand probes at once', () =>
  withPods(async (a) => {
    const kinds = ['tcp 10.8.0.2 80', 'udp 10.8.0.2 53', 'icmp 10.8.0.2 0'];
    const results = await Promise.all(
      Array.from({ length: 1000 }, (_, id) => a.probe(id, `${kinds[id % 3]} 5000`)),
    );
    assert.ok(results.every((result) => result.startsWith('connected ')));
  }));

itWithCurl('answers HTTP with its name, several times over one connection', () =>
  withPods(async () => {
    const curl = (...args: string[]): string =>
      execFileSync('ip', ['netns', 'exec', name('a'), 'curl', '-sS', '-m', '5', ...args], {
        encoding: 'utf8',
      });
    assert.equal(curl('http://10.8.0.2/'), 'ns/b\n');
    assert.equal(curl('http://10.8.0.2/', 'http://10.8.0.2/x', '-w', '%{num_connects} '), 'ns/b\n1 ns/b\n0 ');
    assert.equal(curl('-d', 'x=1', 'http://10.8.0.2/'), 'ns/b\n');
    assert.match(curl('-I', 'http://10.8.0.2/'), /^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Length: 5\r\n/);
    assert.equal(curl('-0', 'http://10.8.0.2/'), 'ns/b\n');
  }),
);

it('keeps connections open and counts what comes back', () =>
  withPods(async (a, b, netnsB) => {
    for (const [id, to] of [
      ['t', 'tcp 10.8.0.2 80'],
      ['u', 'udp 10.8.0.2 53'],
    ] as const) {
      const opened = await a.ask(`open ${id} ${to}`);
      assert.equal(opened[0], 'opened');
      assert.ok(Number(opened[2]) > 0);
      assert.deepEqual(await a.ask(`send ${id} 50 2`), ['done', id, '50', '50']);
      await a.line(new RegExp(`^progress ${id} `));
    }
    assert.equal((await a.ask('open r tcp 10.8.0.2 81'))[0], 'failed');
    assert.deepEqual(await a.ask('send nobody 1 1'), ['failed', 'nobody', 'not-open']);
    // The connection stands still while the way is closed, and goes on after it.
    netnsB.removeAddress('eth0', '10.8.0.2/24');
    assert.deepEqual(await a.ask('send u 10 1'), ['done', 'u', '10', '0']);
    netnsB.addAddress('eth0', '10.8.0.2/24');
    assert.deepEqual(await a.ask('send u 10 1'), ['done', 'u', '10', '10']);
    await b.end();
    assert.equal((await a.ask('send t 10 1'))[0] === 'done', false);
  }));

it('answers from the address it was asked at', () =>
  withPods(async (a, _b, netnsB) => {
    netnsB.addAddress('eth0', '10.8.0.77/24');
    assert.equal(await a.probe(1, 'udp 10.8.0.77 53 2000'), 'connected ns/b');
  }));

it('says why it cannot start, and ends with its standard input', () =>
  withPods(async (a) => {
    const failed = spawn(PROGRAM, ['--name', 'ns/x', '--netns', `/run/netns/${name('b')}`, '--tcp', '80'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const [text] = (await once(failed.stderr, 'data')) as [Buffer];
    assert.match(String(text), /port 80: Address-already-in-use/);
    assert.equal((await once(failed, 'exit'))[0], 1);
    await a.end();
    assert.equal(a.child.exitCode, 0);
  }));

test.run();
