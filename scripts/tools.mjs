// The programs of others that tests and `sim --kubernetes` run: kube-apiserver, cnitool and helm, built once from the Go
// modules that test/tools pins, kept in a cache outside the tree. What was found is listed in build/tools.json.
//   npm run tools
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ROOT } from './build.mjs';
import { findGo } from './go.mjs';

const MODULE = join(ROOT, 'test/tools');
const INDEX = join(ROOT, 'build/tools.json');

const PACKAGES = {
  cnitool: 'github.com/containernetworking/cni/cnitool',
  helm: 'helm.sh/helm/v3/cmd/helm',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
};

/** What has to be built: all but what $KUBEBUILDER_ASSETS (envtest's convention) brings. */
function wanted() {
  const assets = process.env.KUBEBUILDER_ASSETS;
  return Object.keys(PACKAGES).filter((name) => !assets || !existsSync(join(assets, name)));
}

/** Without symbols, debug information and C, which costs a third of the time; 300: memory for time in the compiler. */
const FLAGS = ['-mod=readonly', '-trimpath', '-gcflags=all=-dwarf=false'];
const ENVIRONMENT = { CGO_ENABLED: '0', GOGC: '300', GOFLAGS: '', GOTOOLCHAIN: 'local' };

/** Beside whatever else runs, the build is the one that can wait. */
const NICENESS = '10';

/** Where built programs are kept: $XDG_CACHE_HOME/pteropus, or ~/.cache/pteropus. */
export function cacheFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pteropus');
}

function versionOf(text, module) {
  const match = new RegExp(`^\\s*(?:require )?${module} (v[^\\s]+)`, 'm').exec(text);
  if (match === null) throw new Error(`test/tools/go.mod does not name ${module}`);
  return match[1];
}

/** What the built programs depend on. */
function plan() {
  const text = readFileSync(join(MODULE, 'go.mod'), 'utf8');
  const release = versionOf(text, 'k8s.io/kubernetes');
  const [major, minor] = release.slice(1).split('.');
  const info = 'k8s.io/component-base/version';
  const set = Object.entries({ gitVersion: release, gitMajor: major, gitMinor: minor });
  const flags = [
    ...FLAGS,
    `-ldflags=-s -w ${set.map(([name, value]) => `-X ${info}.${name}=${value}`).join(' ')}`,
  ];
  const hash = createHash('sha256')
    .update(text)
    .update(readFileSync(join(MODULE, 'go.sum')));
  const key = hash
    .update(JSON.stringify([flags, process.arch]))
    .digest('hex')
    .slice(0, 12);
  return {
    release,
    flags,
    folder: join(cacheFolder(), `tools-${release}-${key}`),
    go: /^go (\S+)$/m.exec(text)[1],
  };
}

function writeIndex(folder) {
  const index = Object.fromEntries(wanted().map((name) => [name, join(folder, name)]));
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  writeFileSync(INDEX, `${JSON.stringify(index, null, 2)}\n`);
}

/** Whether everything is there; then it is listed. */
export function toolsReady() {
  const { folder } = plan();
  if (!wanted().every((name) => existsSync(join(folder, name)))) return false;
  writeIndex(folder);
  return true;
}

/** Builds what is missing; `say` gets a line now and then. Throws with the end of the compiler's output. */
export async function buildTools(say) {
  if (toolsReady()) return;
  const { release, flags, folder, go: least } = plan();
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  const go = await findGo(least, cache, say);
  const fresh = join(cache, `.tools-${process.pid}`);
  mkdirSync(fresh, { recursive: true });
  const started = Date.now();
  try {
    const names = wanted();
    say(`building ${names.join(', ')} (Kubernetes ${release}), once; about 4 minutes on 2 idle cores ...`);
    await compile(go, [...flags, '-v', '-o', `${fresh}/`, ...names.map((name) => PACKAGES[name])], say);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  say(`built in ${((Date.now() - started) / 60_000).toFixed(1)} minutes, kept in ${folder}`);
  writeIndex(folder);
}

function compile(go, args, say) {
  return new Promise((resolve, reject) => {
    const child = spawn('nice', ['-n', NICENESS, go, 'build', ...args], {
      cwd: MODULE,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...ENVIRONMENT },
    });
    const last = [];
    let packages = 0;
    let told = Date.now();
    createInterface({ input: child.stderr }).on('line', (line) => {
      last.push(line);
      if (last.length > 20) last.shift();
      packages++;
      if (Date.now() - told < 60_000) return;
      told = Date.now();
      say(`... ${packages} packages so far`);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`go build failed:\n${last.join('\n')}`));
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildTools((line) => process.stderr.write(`${line}\n`));
  process.stdout.write(readFileSync(INDEX, 'utf8'));
}
