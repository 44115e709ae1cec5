/** Columns wide enough for all that is in them; what ends in `>` stands on the right. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const heads = columns.map(column => column.replace('>', ''));
  const widths = heads.map((head, index) =>
    Math.max(head.length, ...rows.map(row => row[index]?.length ?? 0)),
  );
  return [heads, ...rows].map(row =>
    row
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.endsWith('>') ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
