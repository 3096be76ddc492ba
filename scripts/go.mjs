// A Go toolchain: the machine's own if it is new enough, else one from the Go module proxy, kept in the cache.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzip } from './unzip.mjs';

/** What is fetched where there is none: golang.org/toolchain, with the checksums of sum.golang.org. */
const PINNED = {
  version: '1.26.8',
  sums: {
    x64: ['amd64', 'h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM='],
    arm64: ['arm64', 'h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc='],
  },
};
const PROXY = 'https://proxy.golang.org';

/** `[1, 26, 8]`, or null for something that is no release. */
function parse(text) {
  const match = /go(\d+)\.(\d+)(?:\.(\d+))?\b/.exec(text);
  return match === null ? null : match.slice(1).map((part) => Number(part ?? 0));
}

function atLeast(version, wanted) {
  for (const [i, part] of wanted.entries()) if (version[i] !== part) return version[i] > part;
  return true;
}

/** The program `go`, at least of the version `wanted` (`1.25.0`). Downloads one into `cache` where there is none. */
export async function findGo(wanted, cache, say) {
  const own = spawnSync('go', ['env', 'GOVERSION'], {
    encoding: 'utf8',
    env: { ...process.env, GOTOOLCHAIN: 'local' },
  });
  const version = own.status === 0 ? parse(own.stdout) : null;
  if (version !== null && atLeast(version, parse(`go${wanted}`))) return 'go';
  return await download(cache, say);
}

async function download(cache, say) {
  const { version, sums } = PINNED;
  const pinned = sums[process.arch];
  if (process.platform !== 'linux' || pinned === undefined) {
    throw new Error(`Go ${version} is needed; install it from https://go.dev/dl`);
  }
  const [arch, sum] = pinned;
  const home = join(cache, `go-${version}`);
  const program = join(home, 'bin/go');
  if (existsSync(program)) return program;
  const name = `v0.0.1-go${version}.linux-${arch}`;
  say(`downloading Go ${version} (70 MB) ...`);
  const response = await fetch(`${PROXY}/golang.org/toolchain/@v/${name}.zip`);
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
  const fresh = join(cache, `.go-${process.pid}`);
  mkdirSync(fresh, { recursive: true });
  try {
    const zip = join(fresh, 'go.zip');
    writeFileSync(zip, Buffer.from(await response.arrayBuffer()));
    unzip(zip, join(fresh, 'go'), `golang.org/toolchain@${name}/`.length, sum);
    // Whoever was faster has the same.
    if (!existsSync(program)) renameSync(join(fresh, 'go'), home);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return program;
}
