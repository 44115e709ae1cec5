/**
 * Whether it is certain that not one byte of a request left, from what `fetch` threw.
 *
 * Only what happens before a connection is there can prove that: no address, no route, nobody listening, a certificate
 * that is not trusted. Node says so in `cause`. The system call counts as much as the code, since a connection that was
 * open, and has carried a payment, may well die of EHOSTUNREACH later. A browser never tells; what is not certain is
 * false, and false costs no more than another attempt with the same key.
 */
export function isSurelyNotSent(error: unknown): boolean {
  return isFromConnecting((error as { cause?: unknown } | null | undefined)?.cause);
}

function isFromConnecting(cause: unknown): boolean {
  if (typeof cause !== 'object' || cause === null) return false;
  const { code, syscall, errors } = cause as { code?: unknown; syscall?: unknown; errors?: unknown };
  // A name with several addresses ("happy eyeballs"): every one of them has to have failed.
  if (Array.isArray(errors) && errors.length > 0) return errors.every(isFromConnecting);
  if (typeof code !== 'string') return false;
  if (syscall === 'connect') return couldNotConnect.has(code);
  if (syscall === 'getaddrinfo') return couldNotLookUp.has(code);
  return code === 'UND_ERR_CONNECT_TIMEOUT' || untrustedCertificate.has(code);
}

const couldNotConnect: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
]);

const couldNotLookUp: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN']);

/** Checked before the first byte of HTTP: https://nodejs.org/api/tls.html#x509-certificate-error-codes, and the name. */
const untrustedCertificate: ReadonlySet<string> = new Set([
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
