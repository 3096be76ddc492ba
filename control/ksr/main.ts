/** `pteropus ksr`: reflects the Kubernetes API into the store. */
import { certificateFiles, certificateProblems } from '../agent/certificates.js';
import { endOf } from '../agent/end.js';
import { Every } from '../agent/every.js';
import { servePatiently } from '../agent/http/patient.js';
import { serveRest } from '../agent/http/server.js';
import { parseOptions, UsageError } from '../common/command-line.js';
import { logLine } from '../common/log.js';
import { openStore } from '../store/open.js';
import { kubeAccess } from './access.js';
import { KubeApi } from './api.js';
import { type KsrConfig, ksrConfigOf, readKsrConfig } from './config.js';
import { Ksr } from './ksr.js';
import { KsrMetrics } from './metrics.js';
import { ksrRoutes } from './routes.js';

const DAY_MS = 86_400_000;

const HELP = `usage: pteropus ksr --config FILE
       pteropus ksr --store URL[,URL...] [--kubeconfig FILE] [--rest ADDRESS:PORT] [--identity NAME] [--lease-seconds N]

Reflects the Kubernetes API into the store that the agents follow. Several may run: one leads, the others stand by. Logs to
standard error; prints {"ready":true} on standard output once it runs, which is before everything is reflected (see /readyz).

FILE is JSON:
  store             unix socket of the embedded store, http(s)://host:port of etcd, or
                    {"endpoints": [URL...], "caFile": FILE, "certFile": FILE, "keyFile": FILE, "prefix": TEXT}
  kubeconfig        file (default: the pod's service account, else $KUBECONFIG, else ~/.kube/config)
  rest              ADDRESS:PORT of health, status, problems, metrics (default 127.0.0.1:9191; null = none; beyond loopback
                    with TLS: {"listen", "certFile", "keyFile", "clientCaFile"})
  identity          name of this candidate in the leader election (default HOST-PID)
  leaseSeconds      how long a vanished leader keeps others from leading (default 15)
  externalIPCIDRs   allowed ranges for externalIPs of Services, as configured in the agents (default [])
  lookAgainSeconds  how often to look for a custom resource that is not installed (default 10)
  nodeReleaseSeconds  how long a Node must be gone before its id and addresses are free for others (default 600)
  dieWithStdin      true: end when standard input ends
`;

const text = { type: 'string' } as const;
const FLAGS = { store: text, kubeconfig: text, rest: text, identity: text, 'lease-seconds': text } as const;

/** Exit code 0: ended as asked. Throws UsageError, InvalidInputError. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseOptions(argv, { config: text, ...FLAGS });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const { config: path, help: _, ...flags } = values;
  if (path !== undefined && Object.keys(flags).length > 0)
    throw new UsageError('takes no other option beside it', { field: '--config' });
  await serve(path === undefined ? ksrConfigOf(flags) : readKsrConfig(path));
  return 0;
}

async function serve(config: KsrConfig): Promise<void> {
  const log = logLine;
  const access = kubeAccess(config.kubeconfig);
  const end = endOf(config.dieWithStdin);
  const store = openStore(config.store);
  const certificates = (): readonly string[] => certificateProblems(certificateFiles(config));
  const tell = async (): Promise<void> => certificates().forEach(log);
  await tell();
  const daily = new Every(DAY_MS, tell);
  const metrics = new KsrMetrics(certificates);
  const ksr = new Ksr({
    ...{ store, metrics, log, identity: config.identity, leaseSeconds: config.leaseSeconds },
    api: new KubeApi(access),
    externalIPCIDRs: config.externalIPCIDRs,
    lookAgainMs: config.lookAgainSeconds * 1000,
    nodeReleaseMs: config.nodeReleaseSeconds * 1000,
  });
  const { rest } = config;
  const server =
    rest === null
      ? null
      : await servePatiently(() => serveRest(rest, ksrRoutes(ksr, metrics, certificates), log), log);
  try {
    const running = ksr.run();
    process.stdout.write('{"ready":true}\n');
    await Promise.race([end.asked, running]);
    ksr.stop();
    await running;
  } finally {
    daily.close();
    await server?.close();
    await store.close();
    end.release();
  }
}
