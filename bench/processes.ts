import { readFileSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second, whatever the clock of the machine. */
const ticksPerSecond = 100;

/** CPU seconds a process has used so far, in user mode and in the kernel; `null` where there is no /proc. */
export function cpuSeconds(pid: number): number | null {
  const stat = readProc(pid, 'stat');
  if (stat === null) return null;
  // The name of the program, in brackets, may hold blanks. The fields after it begin with the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The most memory a process has ever held, in MiB; `null` where there is no /proc. */
export function peakMemoryMib(pid: number): number | null {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readProc(pid, 'status') ?? '') ?? [];
  return kib === undefined ? null : Number(kib) / 1024;
}

/** Whether `pid` is a program of that name on this machine: a database elsewhere reports numbers of its own. */
export function runsHere(pid: number, program: string): boolean {
  return readProc(pid, 'comm')?.trim() === program;
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return null;
  }
}
