import type { IncomingMessage, ServerResponse } from 'node:http';
import helmet from 'helmet';

type Policy = Record<string, string[]>;

/** Answers are JSON: nothing in them may be loaded, framed or guessed at. Pages have policies of their own. */
const nothing: Policy = { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] };

/**
 * The headers that browsers obey, as helmet would set them with `directives`. They are the same for every answer, so
 * they are asked for once: helmet puts them together for each request, which a replay would feel. So would it the
 * headers for browsers long gone and for windows that open windows: they are left out.
 */
export function securityHeaders(directives: Policy = nothing): Record<string, string> {
  const headers: Record<string, string> = {};
  const response = {
    setHeader: (name: string, value: string) => {
      headers[name.toLowerCase()] = value;
    },
    removeHeader: () => undefined,
  };
  helmet({
    contentSecurityPolicy: { useDefaults: false, directives },
    // TLS ends in front of this service, and so does what browsers should know about it.
    strictTransportSecurity: false,
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  })({} as IncomingMessage, response as unknown as ServerResponse, () => undefined);
  return headers;
}
