import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { documentOf } from '../../objects/document.js';
import { parsePod } from '../../objects/pod.js';
import { runtimeConfigOf } from './runtime-config.js';

const pod = (annotations: object, ports: readonly object[]) =>
  parsePod(
    documentOf({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n', annotations } },
      spec: { containers: [{ name: 'c', image: 'x', ports }] },
    }),
  );

test('host ports and rates; nothing where nothing is asked for', () => {
  assert.equal(runtimeConfigOf(pod({}, [{ containerPort: 80 }])), {});
  const ports = [
    { containerPort: 80, hostPort: 8080 },
    { containerPort: 53, hostPort: 53, protocol: 'UDP' },
  ];
  assert.equal(runtimeConfigOf(pod({ 'kubernetes.io/egress-bandwidth': '1.5Mi' }, ports)), {
    portMappings: [
      { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { hostPort: 53, containerPort: 53, protocol: 'udp' },
    ],
    bandwidth: { egressRate: 1_572_864, egressBurst: 0xffffffff },
  });
});

test('a rate that is none names the pod and the annotation', () => {
  for (const value of ['fast', '-1', '0', '10MB']) {
    const wrong = pod({ 'kubernetes.io/ingress-bandwidth': value }, []);
    assert.throws(() => runtimeConfigOf(wrong), /pod n\/p.*ingress-bandwidth/);
  }
});

test.run();
