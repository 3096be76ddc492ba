/** What may be a container id, an interface name, a network name (CNI specification, section 3; peers' CVE-2021-20206). */

const ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export function isContainerId(text: string): boolean {
  return ID.test(text);
}

export function isNetworkName(text: string): boolean {
  return ID.test(text);
}

/** As the kernel has it: 1 to 15 bytes, neither `.` nor `..`, without `/`, `:` or white space. */
export function isInterfaceName(text: string): boolean {
  const bytes = Buffer.byteLength(text, 'utf8');
  return bytes >= 1 && bytes <= 15 && text !== '.' && text !== '..' && !/[/:\s\0]/.test(text);
}

/** `KEY=value;KEY=value`; null if it is not of that form. An empty text has no arguments. */
export function parseArguments(text: string): ReadonlyMap<string, string> | null {
  const result = new Map<string, string>();
  for (const part of text.split(';')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    if (at <= 0) return null;
    result.set(part.slice(0, at), part.slice(at + 1));
  }
  return result;
}
