// Makes a bare machine ready: npm packages, and the system's packages that a goal needs.
// Plain JavaScript, no packages: it runs first. It says what it installs; without the rights to, it prints the exact line.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './build.mjs';

const MINIMUM_NODE = 20;

/** program -> Debian package. */
const COMPILER = { 'g++': 'g++', make: 'make', cmake: 'cmake' };
const TOOLS = {
  nsenter: 'util-linux',
  ip: 'iproute2',
  ping: 'iputils-ping',
  curl: 'curl',
  tshark: 'tshark',
  iperf3: 'iperf3',
  ethtool: 'ethtool',
  openssl: 'openssl',
  etcd: 'etcd-server',
  '/usr/lib/cni/portmap': 'containernetworking-plugins',
};
/** What `sim --kubernetes` needs beside the rest of `sim`; kube-apiserver itself is built by tools.mjs. */
const KUBERNETES = { etcd: TOOLS.etcd };

export const GOALS = {
  /** Real packets in namespaces need the addon; without root the simulation runs in memory and needs nothing. */
  sim: isRoot() ? { ...COMPILER, nsenter: TOOLS.nsenter, curl: TOOLS.curl } : {},
  kubernetes: KUBERNETES,
  test: isRoot() ? { ...COMPILER, ...TOOLS } : COMPILER,
  build: COMPILER,
};

function isRoot() {
  return process.platform === 'linux' && process.getuid?.() === 0;
}

function has(program) {
  const result = spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
  return result.status === 0;
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function run(command, args, env = {}) {
  return spawnSync(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  }).status;
}

function installPackages() {
  const lock = join(ROOT, 'package-lock.json');
  const installed = join(ROOT, 'node_modules/.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  say('installing npm packages (npm ci) ...');
  if (run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel', 'error']) !== 0) {
    throw new Error('npm ci failed; is the npm registry reachable?');
  }
}

/** Installs the Debian packages of the missing programs; returns the programs that are still missing. */
function installSystem(needed) {
  const missing = Object.keys(needed).filter((program) => !has(program));
  if (missing.length === 0) return [];
  const packages = [...new Set(missing.map((program) => needed[program]))];
  const line = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (!has('apt-get')) {
    say(`missing: ${missing.join(', ')}; install them with this system's package manager`);
    return missing;
  }
  if (!isRoot()) {
    say(`missing: ${missing.join(', ')}; to install them:\n  sudo ${line}`);
    return missing;
  }
  say(`installing system packages: ${packages.join(' ')} ...`);
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-qq'], quiet);
  if (run('apt-get', line.split(' ').slice(1), quiet) !== 0) say(`this failed: ${line}`);
  return missing.filter((program) => !has(program));
}

/** Returns the programs that are missing for good; the caller decides what can be done without them. */
export function setup(goal) {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < MINIMUM_NODE)
    throw new Error(`Node.js ${MINIMUM_NODE} or newer is needed, this is ${process.version}`);
  installPackages();
  return installSystem(GOALS[goal]);
}
