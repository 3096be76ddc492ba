/**
 * Which process is the VPP we started: kept in a file beside its sockets, so that the next `pteropus vswitch` takes it over instead of
 * starting another one. A process id alone would soon be somebody else's: the moment it started (proc(5), stat, field 22: clock ticks
 * since boot) tells them apart, and the boot's id one boot from the next.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Startup } from './startup.js';

export interface VppRecord {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly started: string;
  readonly boot: string;
  /** Of the startup configuration it was given. */
  readonly configuration: string;
}

/** Where processes are looked up; a test has its own. */
const PROC = '/proc';

/** What tells one startup configuration from another. */
export function fingerprint(startup: Startup): string {
  return createHash('sha256')
    .update(JSON.stringify([startup.config, startup.commands]))
    .digest('hex');
}

/** The record of a process that runs; null if it is gone. */
export function recordOf(pid: number, configuration: string, proc = PROC): VppRecord | null {
  const started = startOf(pid, proc);
  return started === null ? null : { pid, started, boot: bootId(proc), configuration };
}

/** Whether the process the record is of still runs (one that has ended and waits for its parent does not). */
export function isAlive(record: VppRecord, proc = PROC): boolean {
  return record.boot === bootId(proc) && record.started === startOf(record.pid, proc);
}

/** null: there is none, or one that cannot be read, which is as good. */
export function readRecord(path: string): VppRecord | null {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<VppRecord> | null;
    const { pid, started, boot, configuration } = value ?? {};
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1) return null;
    if (typeof started !== 'string' || typeof boot !== 'string' || typeof configuration !== 'string')
      return null;
    return { pid, started, boot, configuration };
  } catch {
    return null;
  }
}

/** Readers find the old one or the new one. */
export function writeRecord(path: string, record: VppRecord): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  writeFileSync(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function removeRecord(path: string): void {
  rmSync(path, { force: true });
}

function startOf(pid: number, proc: string): string | null {
  try {
    const stat = readFileSync(`${proc}/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    return state === 'Z' || state === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function bootId(proc: string): string {
  try {
    return readFileSync(`${proc}/sys/kernel/random/boot_id`, 'utf8').trim();
  } catch {
    return '';
  }
}
