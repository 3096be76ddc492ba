/** Certificates for tests of TLS, made by openssl: an authority, a server on loopback, a client, and a stranger. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Paths of PEM files. */
export interface Certificates {
  readonly ca: string;
  readonly server: KeyPair;
  readonly client: KeyPair;
  /** Signed by itself: nobody trusts it. */
  readonly stranger: KeyPair;
}

/** Makes them in `directory`. */
export function makeCertificates(directory: string): Certificates {
  mkdirSync(directory, { recursive: true });
  const path = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const alone = (name: string): KeyPair => {
    const pair = { cert: path(`${name}.crt`), key: path(`${name}.key`) };
    openssl(
      'req',
      '-x509',
      ...key,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
      '-keyout',
      pair.key,
      '-out',
      pair.cert,
    );
    return pair;
  };
  const ca = alone('ca');
  const signed = (name: string): KeyPair => {
    const pair = { cert: path(`${name}.crt`), key: path(`${name}.key`) };
    const request = path(`${name}.csr`);
    const extensions = path(`${name}.ext`);
    writeFileSync(
      extensions,
      'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n',
    );
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', pair.key, '-out', request);
    openssl(
      ...['x509', '-req', '-in', request, '-CA', ca.cert, '-CAkey', ca.key, '-CAcreateserial'],
      ...['-days', '2', '-extfile', extensions, '-out', pair.cert],
    );
    return pair;
  };
  return { ca: ca.cert, server: signed('server'), client: signed('client'), stranger: alone('stranger') };
}
