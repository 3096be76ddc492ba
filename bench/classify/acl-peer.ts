/** librte_acl as a peer: one process for each list, asked for one pass over the headers at a time. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Built, buildProgram } from '../peers/build.js';
import { Peer } from '../peers/peer.js';
import type { AccessList } from './rules.js';

/** Compiles the peer where libdpdk-dev is installed. */
export function buildAcl(): Built {
  const flags = spawnSync('pkg-config', ['--cflags', '--libs', 'libdpdk'], { encoding: 'utf8' });
  if (flags.status !== 0) return { missing: 'no librte_acl (apt-get install libdpdk-dev pkg-config)' };
  return buildProgram('acl', ['acl.c'], flags.stdout.trim().split(/\s+/));
}

export class AclPeer {
  readonly #folder: string;
  readonly #peer: Peer;
  #methods: readonly string[] = [];
  #builds: readonly number[] = [];

  private constructor(path: string, { rules, headers }: AccessList, huge: boolean) {
    this.#folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'pteropus-acl-'));
    writeFileSync(join(this.#folder, 'rules'), rules);
    writeFileSync(join(this.#folder, 'headers'), headers);
    const files = ['rules', 'headers', 'answers'].map((name) => join(this.#folder, name));
    this.#peer = new Peer(path, [...files, huge ? 'huge' : 'small']);
  }

  /** Starts the program and lets it build its tables. */
  static async start(path: string, list: AccessList, huge: boolean): Promise<AclPeer> {
    const peer = new AclPeer(path, list, huge);
    peer.#builds = (await peer.#peer.ask('build')).trim().split(' ').map(Number);
    peer.#methods = (await peer.#peer.ask('methods')).trim().split(' ');
    return peer;
  }

  get methods(): readonly string[] {
    return this.#methods;
  }

  /** Milliseconds of CPU of each build. */
  get builds(): readonly number[] {
    return this.#builds;
  }

  /** Nanoseconds of CPU a header. */
  async pass(method: string): Promise<number> {
    return Number(await this.#peer.ask(method));
  }

  /** Answers of the latest pass: 0 = no rule, else its place from 1 on. */
  async answers(): Promise<Uint32Array> {
    await this.#peer.ask('answers');
    return new Uint32Array(Uint8Array.from(readFileSync(join(this.#folder, 'answers'))).buffer);
  }

  close(): void {
    this.#peer.close();
    rmSync(this.#folder, { recursive: true });
  }
}
