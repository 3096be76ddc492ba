/** Builds the C peer with the compiler that is there; its layout comes from dataplane-as/layout. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as L from '../../dataplane-as/layout/index.js';

export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const SOURCES = `${ROOT}bench/peers/`;
export const OUT = `${ROOT}build/peers/`;

export type Built = { readonly path: string } | { readonly missing: string };

/** A C compiler's name, null if there is none. */
export function compiler(): string | null {
  const names = [process.env['CC'], 'gcc', 'clang', 'cc'];
  for (const name of names) {
    if (name !== undefined && spawnSync(name, ['--version']).status === 0) return name;
  }
  return null;
}

/** Compiles `files` of bench/peers into build/peers/`name`. */
export function buildProgram(name: string, files: readonly string[], flags: readonly string[] = []): Built {
  const cc = compiler();
  if (cc === null) return { missing: 'no C compiler (apt-get install gcc)' };
  mkdirSync(OUT, { recursive: true });
  const path = `${OUT}${name}`;
  const args = [
    '-O3',
    '-march=native',
    '-flto',
    '-I',
    OUT,
    ...files.map((file) => SOURCES + file),
    '-o',
    path,
  ];
  const { status, stderr } = spawnSync(cc, [...args, ...flags], { encoding: 'utf8' });
  return status === 0 ? { path } : { missing: `${cc} failed: ${stderr.slice(0, 500)}` };
}

/** The pipeline in C; `proves: false`: it takes every packet for a good one. */
export function buildPeer({ proves = true } = {}): Built {
  mkdirSync(OUT, { recursive: true });
  const lines = Object.entries(L).map(([name, value]) => `#define ${name} ${value}u\n`);
  writeFileSync(`${OUT}layout.h`, `#pragma once\n${lines.join('')}`);
  const files = readdirSync(SOURCES).filter((file) => file.endsWith('.c') && !file.startsWith('acl'));
  return proves ? buildProgram('pipeline', files) : buildProgram('unproved', files, ['-DPROVES_NOTHING']);
}

/** Compiles dataplane-as/bench/`name`.ts; returns where the module is. Its static data keeps clear of the pipeline's. */
export function buildAssembly(name: string): string {
  const path = `${ROOT}build/bench-${name}.wasm`;
  const options = ['--optimizeLevel', '3', '--noAssert', '--runtime', 'stub', '--memoryBase', '32768'];
  const features = ['--enable', 'simd,threads,bulk-memory', '--importMemory', '--sharedMemory'];
  const pages = ['--initialMemory', '64', '--maximumMemory', '65536'];
  const asc = `${ROOT}node_modules/.bin/asc`;
  const args = [
    asc,
    `${ROOT}dataplane-as/bench/${name}.ts`,
    '--outFile',
    path,
    ...options,
    ...features,
    ...pages,
  ];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return path;
}
