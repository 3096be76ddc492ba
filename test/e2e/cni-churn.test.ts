/** Many ADDs and DELs, and processes killed in the middle of them: nothing stays behind on the node. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXECUTABLE } from '../../control/cni/install.js';
import { Random } from '../../control/oracle/random.js';
import { CniNode, type CniSandbox, nodeRequirements } from '../cni/node.js';
import { testIf } from '../support/requires.js';

const needs = nodeRequirements();
const real = testIf(test, ...needs);
const LANES = 8;
let node: CniNode;

test.before(async () => {
  if (needs.every((need) => need === null)) node = await CniNode.start();
});
test.after(() => node?.close());

/** Everything of the node that pods leave traces in. */
function traces(): Readonly<Record<string, unknown>> {
  const ip = (...argv: string[]): string[] => {
    const args = [`--net=/run/netns/${node.namespace}`, 'ip', '-o', ...argv];
    const lines = spawnSync('nsenter', args, { encoding: 'utf8' }).stdout.trim().split('\n');
    return lines.map((line) => line.replace(/ (used|probes|expires) .*$/, '')).sort();
  };
  const journal = JSON.parse(readFileSync(node.journal, 'utf8').replace(/^.*\n/, '')) as {
    readonly state: { readonly pods: readonly unknown[] };
  };
  return {
    links: [...node.links()].sort(),
    addresses: ip('address', 'show', 'scope', 'global'),
    routes: ip('-4', 'route', 'show', 'table', 'all'),
    // The mirror is rewritten after a start of the agent, when the disk gets to it.
    files: readdirSync(node.directory)
      .filter((name) => name !== 'mirror.new')
      .sort(),
    namespaces: readdirSync('/run/netns')
      .filter((name) => name.startsWith(node.namespace.slice(0, -1)))
      .sort(),
    pods: journal.state.pods,
  };
}

/** Names of the links in a sandbox. */
function inside({ namespace }: CniSandbox): string {
  return spawnSync('nsenter', [`--net=/run/netns/${namespace}`, 'ip', '-br', 'link'], { encoding: 'utf8' })
    .stdout;
}

async function lanes<T>(list: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...list];
  const lane = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

async function succeed(command: string, box: CniSandbox, change: object = {}): Promise<void> {
  const { exit, stdout } = await node.cni(command, box, change);
  assert.is(exit, 0, `${command} of ${box.pod}: ${stdout}`);
}

real('1,000 ADDs and DELs leave no address, route, link, file or namespace behind', async () => {
  await succeed('DEL', await node.sandbox('first'));
  const boxes: CniSandbox[] = [];
  for (let i = 0; i < 50; i++) boxes.push(await node.sandbox());
  // What a sandbox has before its first ADD; the journal is written by the first change.
  await succeed('ADD', boxes[0]!);
  await succeed('DEL', boxes[0]!);
  const before = traces();
  const ports = (i: number): object => ({
    runtimeConfig: { portMappings: [{ hostPort: 20_000 + i, containerPort: 80, protocol: 'tcp' }] },
  });
  for (let round = 0; round < 20; round++) {
    const change = (box: CniSandbox): object => (round % 2 === 0 ? {} : ports(boxes.indexOf(box)));
    await lanes(boxes, (box) => succeed('ADD', box, change(box)));
    await lanes(boxes, (box) => succeed('DEL', box, change(box)));
  }
  assert.equal(traces(), before);
  for (const box of boxes) {
    assert.not.match(inside(box), 'eth0');
    node.forget(box);
  }
});

real('the executable killed at any moment: a DEL leaves nothing', async () => {
  const random = new Random(51);
  const before = traces();
  const boxes: CniSandbox[] = [];
  for (let i = 0; i < 40; i++) boxes.push(await node.sandbox());
  await lanes(boxes, async (box) => {
    const child = spawn(EXECUTABLE, {
      env: node.environment('ADD', box),
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.stdin.on('error', () => undefined);
    child.stdin.end(JSON.stringify(node.conf()));
    setTimeout(() => child.kill('SIGKILL'), random.below(60));
    await gone;
    await succeed('DEL', box);
  });
  for (const box of boxes) {
    assert.not.match(inside(box), 'eth0');
    node.forget(box);
  }
  assert.equal(traces(), before);
});

real('the agent killed at any moment: a DEL, or a GC, leaves nothing', async () => {
  const random = new Random(52);
  const before = traces();
  for (let round = 0; round < 8; round++) {
    const boxes = [await node.sandbox(), await node.sandbox(), await node.sandbox()];
    const adding = boxes.map((box) => node.cni('ADD', box));
    await new Promise((resolve) => setTimeout(resolve, random.below(80)));
    await node.stop(node.agent);
    const codes = (await Promise.all(adding)).map(({ exit, stdout }) =>
      exit === 0 ? 0 : (JSON.parse(stdout) as { code: number }).code,
    );
    assert.ok(
      codes.every((code) => code === 0 || code === 11),
      `try again later, not ${codes.join(', ')}`,
    );
    await node.startAgent();
    if (round % 2 === 0) for (const box of boxes) await succeed('DEL', box);
    else await succeed('GC', boxes[0]!, { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] });
    for (const box of boxes) {
      assert.not.match(inside(box), 'eth0');
      node.forget(box);
    }
  }
  assert.equal(traces(), before);
});

test.run();
