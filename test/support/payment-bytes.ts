/** `POST /payments` as bytes, for a key or a body that no client library would send. */
export function paymentBytes({
  port,
  apiKey,
  key,
  body,
}: {
  port: number;
  apiKey: string;
  /** The value of the header as it stands on the line: Latin-1, one character, one byte. */
  key: string;
  body: string | Buffer;
}): Buffer {
  const bytes = Buffer.from(body);
  const lines = [
    'POST /payments HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    `Authorization: Bearer ${apiKey}`,
    `Idempotency-Key: ${key}`,
    'Content-Type: application/json',
    `Content-Length: ${bytes.length}`,
    'Connection: close',
  ];
  return Buffer.concat([Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'), bytes]);
}
