// Makes k8s/*.yaml from k8s/chart, for those who apply with kubectl: the chart's defaults, and a placeholder for the one value that has
// none. test/kubernetes/chart.test.ts holds the files to what this makes.
//   node scripts/manifests.mjs            writes them
//   node scripts/manifests.mjs --print    prints them as JSON: name -> text
// $HELM says where helm is; else it is the one that `npm run tools` built.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './build.mjs';

/** Stands for the address of the node that runs etcd and the API server (RFC 5737: nobody has it). */
const PLACEHOLDER = '192.0.2.10';

const HEADER = `# Made from k8s/chart by scripts/manifests.mjs: change it there. How to apply it: k8s/README.md.\n`;

/** File name -> text. `helm`: path of the program. */
export function manifests(helm) {
  const text = execFileSync(
    helm,
    [
      ...['template', 'pteropus', join(ROOT, 'k8s/chart'), '--namespace', 'pteropus-system'],
      ...['--kube-version', '1.35.0', '--set', `etcd.hosts={${PLACEHOLDER}},namespace.create=true`],
    ],
    { encoding: 'utf8' },
  );
  const files = new Map();
  for (const part of text.split(/^---\n/m)) {
    const match = /^# Source: pteropus\/templates\/(\S+)\n/.exec(part);
    if (match === null) continue;
    const name = match[1];
    const body = part.slice(match[0].length).trimEnd();
    files.set(name, `${files.get(name) ?? HEADER}---\n${body}\n`);
  }
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const helm = process.env.HELM ?? JSON.parse(readFileSync(join(ROOT, 'build/tools.json'), 'utf8')).helm;
  const made = manifests(helm);
  if (process.argv[2] === '--print') process.stdout.write(JSON.stringify(Object.fromEntries(made)));
  else for (const [name, text] of made) writeFileSync(join(ROOT, 'k8s', name), text);
}
