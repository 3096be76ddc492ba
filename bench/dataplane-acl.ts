/**
 * Classification alone: the pipeline's verdict by identity against librte_acl with the same rules written out, one for each
 * pair of addresses and port. Sets of Kubernetes shape, made here from a seed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as L from '../dataplane-as/layout.js';
import { Harness } from '../test/pipeline/harness.js';
import type { ImageSpec } from '../test/pipeline/image.js';
import { nodeImage } from '../test/pipeline/node.js';
import { TCP } from '../test/pipeline/packets.js';
import { buildAssembly, buildProgram } from './peers/build.js';
import { figures } from './statistics.js';

/** Rules as an access list needs them. */
const SIZES = [100, 1000, 10_000, 100_000];
const HEADERS = 200_000;
/** Pods that share an identity, pods that share a policy, ports that a peer may call. */
const SOURCES = 8;
const TARGETS = 2;
const PORTS = 2;
/** Peers of a policy, and identities there are. */
const PEERS = 8;
const IDENTITIES = 400;

export interface Classified {
  readonly rules: number;
  /** Nanoseconds a header. */
  readonly wasm: number;
  /** librte_acl by method; `build` is its time to build, milliseconds. */
  readonly acl: Readonly<Record<string, number>>;
  readonly buildMs: number;
}

/** xorshift32: the same sets in every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const sourceOf = (identity: number, pod: number) =>
  `10.64.${identity >> 4}.${(identity & 15) * SOURCES + pod + 1}`;
const targetOf = (policy: number, pod: number) => `10.1.${policy >> 6}.${(policy & 63) * TARGETS + pod + 1}`;
const word = (address: string) => Buffer.from(address.split('.').map(Number)).readUInt32LE();

interface Shape {
  readonly image: ImageSpec;
  /** Source, destination, protocol << 16 | port. */
  readonly rules: Uint32Array;
  readonly headers: Uint32Array;
}

function shape(size: number): Shape {
  const random = seeded(size);
  const pairs = Math.max(1, Math.round(size / (SOURCES * TARGETS * PORTS)));
  const policies = Math.ceil(pairs / PEERS);
  const start = Array.from({ length: policies }, () => random(IDENTITIES));
  const judged = Array.from({ length: pairs }, (_, i) => {
    const policy = Math.floor(i / PEERS);
    return {
      policy,
      identity: (start[policy]! + (i % PEERS) * 37) % IDENTITIES,
      port: 1 + random(200) * 300,
    };
  });
  const ports = [...new Set(judged.map(({ port }) => port))];
  const base = nodeImage();
  const first = base.ports.length;
  const firstAdjacency = base.adjacencies.length + 1;
  const targets = Array.from({ length: policies * TARGETS }, (_, i) => i);
  const place = (i: number) => targetOf(Math.floor(i / TARGETS), i % TARGETS);
  const mac = '02:00:00:00:00:01';
  const image: ImageSpec = {
    ...base,
    tableLog2: 13,
    ports: [
      ...base.ports,
      ...targets.map((i) => ({
        role: 'pod' as const,
        mac,
        peerMac: mac,
        ip: place(i),
        ingress: 1 + Math.floor(i / TARGETS),
      })),
    ],
    adjacencies: [...base.adjacencies, ...targets.map((i) => ({ type: 'port' as const, port: first + i }))],
    prefixes: [
      ...targets.map((i) => ({ space: L.SPACE_POD, prefix: `${place(i)}/32`, value: firstAdjacency + i })),
      ...Array.from({ length: IDENTITIES * SOURCES }, (_, i) => ({
        space: L.SPACE_IDENTITY,
        prefix: `${sourceOf(Math.floor(i / SOURCES), i % SOURCES)}/32`,
        value: 1 + Math.floor(i / SOURCES),
      })),
    ],
    portSets: [
      { intervals: [], allow: false, rule: 16 },
      ...ports.map((port) => ({
        intervals: [port, port + 100].map((from) => ({
          protocol: TCP,
          from,
          to: from,
          allow: true,
          rule: 17,
        })),
        allow: false,
        rule: 16,
      })),
    ],
    policies: Array.from({ length: policies }, () => 0),
    pairs: judged.map(({ policy, identity, port }) => ({
      policy: policy + 1,
      identity: identity + 1,
      portSet: 1 + ports.indexOf(port),
    })),
  };
  const rules: number[] = [];
  for (const { policy, identity, port } of judged) {
    for (let i = 0; i < SOURCES * TARGETS * PORTS; i++) {
      const key = (TCP << 16) | (port + (i & 1) * 100);
      rules.push(word(sourceOf(identity, (i >> 1) % SOURCES)), word(targetOf(policy, i >> 4)), key);
    }
  }
  const headers = new Uint32Array(HEADERS * 4);
  for (let i = 0; i < HEADERS; i++) {
    const hit = random(10) < 8;
    const rule = random(rules.length / 3) * 3;
    const other = random(rules.length / 3) * 3;
    headers.set(
      hit ? rules.slice(rule, rule + 3) : [rules[rule]!, rules[other + 1]!, rules[rule + 2]!],
      i * 4,
    );
  }
  return { image, rules: Uint32Array.from(rules), headers };
}

/** Compiles the peer where libdpdk-dev is installed. */
function buildAcl(): string | null {
  const flags = spawnSync('pkg-config', ['--cflags', '--libs', 'libdpdk'], { encoding: 'utf8' });
  if (flags.status !== 0) return null;
  const built = buildProgram('acl', ['acl.c'], flags.stdout.trim().split(/\s+/));
  return 'path' in built ? built.path : null;
}

function runAcl(
  path: string,
  { rules, headers }: Shape,
): { times: Record<string, number>; answers: Uint32Array } {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'pteropus-acl-'));
  const file = (name: string) => join(folder, name);
  writeFileSync(file('rules'), rules);
  writeFileSync(file('headers'), headers);
  const args = ['rules', 'headers', 'answers'].map(file);
  const { status, stdout, stderr } = spawnSync(path, args, { encoding: 'utf8', timeout: 120_000 });
  if (status !== 0) throw new Error(`librte_acl: ${stderr}`);
  const lines = stdout
    .trim()
    .split('\n')
    .filter((line) => /^(build|sse|avx)/.test(line));
  const times = Object.fromEntries(lines.map((line) => [line.split(' ')[0]!, Number(line.split(' ')[1])]));
  const answers = new Uint32Array(Uint8Array.from(readFileSync(file('answers'))).buffer);
  rmSync(folder, { recursive: true });
  return { times, answers };
}

function one(size: number, module: WebAssembly.Module, acl: string | null): Classified {
  const made = shape(size);
  const node = new Harness({ imageSize: 0x200000, extraBytes: HEADERS * 16 });
  const start = process.hrtime.bigint();
  node.publish(made.image);
  const buildMs = Number(process.hrtime.bigint() - start) / 1e6;
  const instance = new WebAssembly.Instance(module, { env: { memory: node.memory } });
  const { init, classify } = instance.exports as unknown as {
    init(): void;
    classify(from: number, count: number, now: number): void;
  };
  init();
  const words = new Uint32Array(node.memory.buffer, node.extraBase, HEADERS * 4);
  words.set(made.headers);
  const rounds = Array.from({ length: 15 }, () => {
    const began = process.hrtime.bigint();
    classify(node.extraBase, HEADERS, node.now);
    return Number(process.hrtime.bigint() - began) / HEADERS;
  });
  const theirs = acl === null ? null : runAcl(acl, made);
  if (theirs !== null) {
    const wrong = theirs.answers.findIndex((rule, i) => (rule !== 0 ? 1 : 0) !== words[i * 4 + 3]);
    if (wrong >= 0) throw new Error(`${size} rules: header ${wrong} is judged otherwise by librte_acl`);
  }
  return { rules: made.rules.length / 3, wasm: figures(rounds).min, acl: theirs?.times ?? {}, buildMs };
}

export async function classification(say: (line: string) => void): Promise<Classified[]> {
  const module = await WebAssembly.compile(readFileSync(buildAssembly('classify')));
  const acl = buildAcl();
  say(acl === null ? 'librte_acl is not there (apt-get install libdpdk-dev pkg-config)\n' : '');
  say('classification, Kubernetes shape: ns a header, best round; build in ms\n');
  return SIZES.map((size) => {
    const found = one(size, module, acl);
    const others = Object.entries(found.acl).map(([name, value]) => `${name} ${value.toFixed(1)}`);
    const methods = Object.entries(found.acl).filter(([name]) => name !== 'build');
    const best = Math.min(...methods.map(([, value]) => value));
    const ratio = methods.length > 0 ? `  ${(best / found.wasm).toFixed(2)} x its best` : '';
    say(
      `${String(found.rules).padStart(7)} rules: ${found.wasm.toFixed(1)} (build ${found.buildMs.toFixed(1)}); ${others.join(', ')}${ratio}\n`,
    );
    return found;
  });
}
