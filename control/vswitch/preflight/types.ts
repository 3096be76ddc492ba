/** One line of `pteropus vswitch --preflight`. */
export interface Check {
  /** What is looked at, in a word or two. */
  readonly name: string;
  /** fail: it will not work; warn: it works, perhaps not as meant; note: so it is with this VPP and configuration. */
  readonly state: 'ok' | 'note' | 'warn' | 'fail';
  /** How it is. */
  readonly text: string;
  /** What to do about it; absent where nothing has to be done. */
  readonly mend?: string;
}

export function ok(name: string, text: string): Check {
  return { name, state: 'ok', text };
}

export function note(name: string, text: string): Check {
  return { name, state: 'note', text };
}

export function warn(name: string, text: string, mend?: string): Check {
  return { name, state: 'warn', text, ...(mend === undefined ? {} : { mend }) };
}

export function fail(name: string, text: string, mend: string): Check {
  return { name, state: 'fail', text, mend };
}
