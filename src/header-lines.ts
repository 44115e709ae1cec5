/**
 * The values of every line of one header, as they were sent: Node joins some of them and drops others.
 *
 * @param rawHeaders names and values by turns, as Node gives them
 * @param name in lower case
 */
export function linesOf(rawHeaders: readonly string[], name: string): string[] {
  const lines: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const sent = rawHeaders[index] ?? '';
    // Every request passes here: most names are told apart by their length alone.
    if (sent.length === name.length && sent.toLowerCase() === name) lines.push(rawHeaders[index + 1] ?? '');
  }
  return lines;
}
