// Certificates for tests of TLS, made on the spot: an authority, and servers' certificates that it has signed.
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** A self-signed authority of this name. */
export function makeAuthority(name: string): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    cert: certificate({ issuer: name, subject: name, publicKey, signer: privateKey, extensions: [AUTHORITY] }),
    key: pem(privateKey),
  };
}

/** A server's certificate for one host name or IPv4 address. */
export function makeCertificate(host: string, authority: Certificate & { name: string }): Certificate {
  const name = /^[\d.]+$/.test(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host));
  return signed('server', authority, [sequence(SUBJECT_ALT_NAME, der(0x04, sequence(name)))]);
}

/** A client's certificate for a role. */
export function makeClientCertificate(role: string, authority: Certificate & { name: string }): Certificate {
  return signed(role, authority, [END_ENTITY]);
}

function signed(subject: string, authority: Certificate & { name: string }, extensions: Buffer[]): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = createPrivateKey(authority.key);
  return { cert: certificate({ issuer: authority.name, subject, publicKey, signer, extensions }), key: pem(privateKey) };
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

// X.509 as in RFC 5280, as little of it as TLS asks for.
function certificate(options: {
  issuer: string;
  subject: string;
  publicKey: KeyObject;
  signer: KeyObject;
  extensions: Buffer[];
}): string {
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    commonName(options.issuer),
    sequence(der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z'))),
    commonName(options.subject),
    options.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...options.extensions)),
  );
  const signature = der(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, options.signer)]));
  const base64 = sequence(body, ECDSA_WITH_SHA256, signature).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(der(0x06, Buffer.of(0x55, 4, 3)), der(0x0c, Buffer.from(name)))));
}

const ECDSA_WITH_SHA256 = sequence(der(0x06, Buffer.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2)));
const SUBJECT_ALT_NAME = der(0x06, Buffer.of(0x55, 0x1d, 0x11));
/** basicConstraints, critical: CA */
const AUTHORITY = sequence(
  der(0x06, Buffer.of(0x55, 0x1d, 0x13)),
  der(0x01, Buffer.of(0xff)),
  der(0x04, sequence(der(0x01, Buffer.of(0xff)))),
);
/** basicConstraints, as little as possible: no CA */
const END_ENTITY = sequence(der(0x06, Buffer.of(0x55, 0x1d, 0x13)), der(0x04, sequence()));
