/** `pteropus agent`: the node agent as a process of its own, beside a data plane that outlives it. */
import { loadNative } from '../../native/index.js';
import type { Backend } from '../backends/backend.js';
import { openRemoteBackend } from '../backends/wasm/remote.js';
import { conflistText } from '../cni/conflist.js';
import { collectGarbage } from '../common/collect-garbage.js';
import { parseOptions, required } from '../common/command-line.js';
import { clearSocketPath } from '../common/listen.js';
import { logLine } from '../common/log.js';
import { packageVersion } from '../common/version.js';
import { openStore } from '../store/open.js';
import { type AgentConfig, OWN_NETNS, readAgentConfig } from './agent-config.js';
import type { AgentOptions } from './agent-options.js';
import { AgentProcess } from './agent-process.js';
import { certificateFiles, certificateProblems } from './certificates.js';
import { ConflistKeeper } from './cni-conflist.js';
import { serveCni } from './cni-server.js';
import { endOf } from './end.js';
import { HealthCheckServer } from './health-checks.js';
import { servePatiently } from './http/patient.js';
import { agentRoutes } from './http/routes.js';
import { serveRest } from './http/server.js';
import { type NativeLinksOptions, openNativeLinks } from './links-native.js';
import { AgentMetrics } from './metrics/agent-metrics.js';
import { measuredCni } from './metrics/measured-cni.js';
import { sameNamespace } from './netns.js';
import { openVppDataplane, uplinkMacOf } from './vpp/open.js';

const HELP = `usage: pteropus agent --config FILE [--die-with-stdin]

Runs the agent of one node: follows the cluster's objects in the store, keeps the node's data plane in agreement with them,
and serves the CNI program. Prints {"ready":true} on standard output when everything is in force and the CNI socket is open;
logs to standard error. When it ends, traffic goes on.

FILE is JSON:
  node          name of the node in Kubernetes
  store         unix socket of the embedded store, or of etcd: {"endpoints": [URL...], "caFile": FILE, "certFile": FILE,
                "keyFile": FILE}
  backend       wasm (default) or vpp: the data plane
  dataplane     unix socket of the data plane (wasm)
  vpp           where VPP is and how its interfaces are created (vpp): docs/vpp.md
  uplink        name of the link to the underlay
  cni           unix socket for the CNI program (default /run/pteropus/cni.sock)
  cniBinDir     where the container runtime looks for CNI executables; ours is installed there (default: not installed)
  cniConfDir    where it looks for network configurations; ours is there while pods can be wired (default: never)
  journal       file that records the node's id and pods (default /var/lib/pteropus/journal.json)
  mirror        file that records the store's content, to start from when the store is unreachable (default beside the
                journal; null: none)
  netns         network namespace of the host's stack (default: the agent's own)
  addresses     underlay addresses, if the cluster has no nodeInterconnectCIDR
  podFeed       afxdp or tap: feed of pods without the annotation pteropus.io/feed (default afxdp; on VPP tap, if available)
  workers       same as the data plane's --workers (default 1): links get a queue for each; the uplink must have as many
  cluster       cluster configuration; absent fields take their defaults
  rest          REST and metrics: ADDRESS:PORT (default 127.0.0.1:9999), the path of a unix socket, null for none, or
                an object of listen, certFile, keyFile, clientCaFile, hosts; beyond loopback only with TLS
  resyncIntervalSeconds  how often to read the data plane back and repair it (default 60 on VPP, which others can change;
                         otherwise 0: only when needed)
  statusIntervalSeconds  how often at most to write the revision in force to the store (default 1); problems are written at once
  dieWithStdin  true: end when standard input ends, like the option
`;

/** How long one attempt to reach the data plane takes before it is told and tried again, milliseconds. */
const DATAPLANE_TIMEOUT_MS = 2000;

/** Exit code 0: ended as asked. Throws UsageError, InvalidInputError, and what keeps the agent from starting. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseOptions(argv, {
    config: { type: 'string' as const },
    'die-with-stdin': { type: 'boolean' as const },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const config = readAgentConfig(required('--config', values.config));
  await serve(values['die-with-stdin'] === true ? { ...config, dieWithStdin: true } : config);
  return 0;
}

async function serve(config: AgentConfig): Promise<void> {
  // Two agents of one node would undo each other's work: the second ends here.
  await clearSocketPath(config.cni);
  const end = endOf(config.dieWithStdin);
  const log = logLine;
  let startAnew = (): void => undefined;
  const anew = new Promise<void>((resolve) => {
    startAnew = () => {
      log('ending, to be started again with another id');
      resolve();
    };
  });
  const self = new AgentProcess(config.node, packageVersion(), config.cluster);
  const metrics = new AgentMetrics(self, true);
  const open: { close(): Promise<void> }[] = [];
  const opened = <T extends { close(): Promise<void> }>(handle: T): T => {
    open.unshift(handle);
    return handle;
  };
  try {
    const { rest } = config;
    if (rest !== null) {
      opened(await servePatiently(() => serveRest(rest, agentRoutes(self, metrics), log), log));
    }
    const store = opened(openStore(config.store));
    const links = opened(openNativeLinks(loadNative(), linksOf(config, log)));
    const healthChecks = opened(new HealthCheckServer(log));
    const { cni: socket, cniConfDir: confDir, cniBinDir: binDir } = config;
    const conflist =
      confDir === null
        ? null
        : opened(
            new ConflistKeeper({
              ...{ binDir, confDir, text: conflistText(socket), log },
              asksStatus: () => self.statusAsked,
            }),
          );
    const options: AgentOptions = {
      node: config.node,
      config: config.cluster,
      store,
      openBackend: () => openDataplane(config, log),
      links,
      journal: config.journal,
      mirror: config.mirror,
      podFeed: config.podFeed,
      ...(config.backend === 'vpp' ? { dataplane: config.backend } : {}),
      ...(config.addresses === null ? {} : { addresses: config.addresses }),
      // The ports belong to the host's stack: where that is another namespace than ours, we cannot listen there.
      ...(sameNamespace(config.netns, OWN_NETNS) ? { healthChecks } : {}),
      resyncIntervalMs: config.resyncIntervalSeconds * 1000,
      statusIntervalMs: config.statusIntervalSeconds * 1000,
      releaseMemory: () => {
        collectGarbage();
        loadNative().trimMemory();
      },
      recorded: (record) => metrics.recorded(record),
      machineProblems: () => [
        ...certificateProblems(certificateFiles(config)),
        ...(conflist === null ? [] : conflist.problems),
      ],
      startAnew,
      ...(conflist === null ? {} : { statusChanged: ({ ready }) => conflist.follow(ready) }),
      log,
    };
    const service = measuredCni(self.cni, (...told) => metrics.answered(...told));
    opened(await serveCni(service, config.cni));
    const agent = await self.start(options, end.asked);
    // Asked to end while it waits for its parts: nothing of ours is there to be closed in order.
    if (agent === undefined) process.exit(0);
    opened(agent);
    process.stdout.write('{"ready":true}\n');
    await Promise.race([end.asked, anew]);
    // What ends beside us, or takes long to end, is no reason to take it away.
    await conflist?.close();
  } finally {
    for (const handle of open) await handle.close();
    end.release();
  }
}

function openDataplane({ dataplane, vpp }: AgentConfig, log: (line: string) => void): Promise<Backend> {
  if (vpp === null) return openRemoteBackend(dataplane, { timeoutMs: DATAPLANE_TIMEOUT_MS });
  return openVppDataplane(vpp, log);
}

function linksOf(
  { netns, uplink, vpp, workers }: AgentConfig,
  log: (line: string) => void,
): NativeLinksOptions {
  if (vpp === null) return { netns, uplink, workers };
  return { netns, uplink, vpp: { uplinkMac: uplinkMacOf(vpp, log), hostTap: vpp.host === 'tap' } };
}
