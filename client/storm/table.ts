/** A table whose first column is words, and all others figures. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** For a terminal, or a pipe. */
export function aligned(table: Table): string {
  const widths = widthsOf(table);
  return [table.head, ...table.rows].map(row => padded(row, widths).join('  ').trimEnd()).join('\n');
}

/** For a page, in the very form that prettier gives it. */
export function marked(table: Table): string {
  const widths = widthsOf(table).map(width => Math.max(3, width));
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  const rows = [padded(table.head, widths), rule, ...table.rows.map(row => padded(row, widths))];
  return rows.map(row => `| ${row.join(' | ')} |`).join('\n');
}

function widthsOf({ head, rows }: Table): number[] {
  return head.map((_, column) => Math.max(...[head, ...rows].map(row => row[column]?.length ?? 0)));
}

function padded(row: readonly string[], widths: readonly number[]): string[] {
  return row.map((cell, column) => {
    const width = widths[column] ?? 0;
    return column === 0 ? cell.padEnd(width) : cell.padStart(width);
  });
}
