import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { end } from './child.js';
import type { LoadJob, LoadReport } from './load.js';

/** load.ts in a process of its own, seen from here. */
export class LoadGenerator {
  private readonly child: ChildProcess;
  private readonly reports = new Map<LoadReport['kind'], PromiseWithResolvers<LoadReport>>(
    (['warm', 'measured', 'done'] as const).map(kind => [kind, Promise.withResolvers()]),
  );

  constructor(job: LoadJob, signal: AbortSignal) {
    this.child = fork(join(import.meta.dirname, 'load.js'), {
      serialization: 'advanced',
      detached: process.platform !== 'win32',
    });
    const fail = (error: Error) => {
      for (const { reject } of this.reports.values()) reject(error);
    };
    for (const { promise } of this.reports.values()) promise.catch(() => undefined);
    this.child.on('message', (message: LoadReport) => this.reports.get(message.kind)?.resolve(message));
    this.child.once('exit', () => {
      fail(new Error('The load generator ended too early.'));
    });
    signal.addEventListener('abort', () => {
      fail(new Error('Stopped.'));
    });
    this.child.send(job);
  }

  async reached(kind: LoadReport['kind']): Promise<LoadReport | undefined> {
    return this.reports.get(kind)?.promise;
  }

  async done(): Promise<Extract<LoadReport, { kind: 'done' }>> {
    const report = await this.reached('done');
    if (report?.kind !== 'done') throw new Error('The load generator reported nothing.');
    return report;
  }

  async end(): Promise<void> {
    await end(this.child);
  }
}
