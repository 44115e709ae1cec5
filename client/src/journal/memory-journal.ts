import { oldestFirst, takenByAnother, type Entry, type Journal } from './journal.js';

/**
 * Forgets with the process. That is enough where the process outlives its payments in any case (a test, a page that
 * keeps its keys itself) and nowhere else: a program that restarts needs a file journal, or its own database.
 */
export class MemoryJournal implements Journal {
  private readonly entries = new Map<string, Entry>();
  private readonly adopted = new Set<string>();

  open(entry: Entry): Promise<boolean> {
    const earlier = this.entries.get(entry.key);
    if (!earlier) {
      this.entries.set(entry.key, entry);
      return Promise.resolve(true);
    }
    if (earlier.sender === entry.sender) {
      this.adopted.add(entry.key);
      return Promise.resolve(false);
    }
    return Promise.reject(takenByAnother(entry.key, 'The journal'));
  }

  adopt(key: string): Promise<boolean> {
    if (this.entries.has(key)) this.adopted.add(key);
    return Promise.resolve(this.entries.has(key));
  }

  withdraw(key: string): Promise<boolean> {
    return Promise.resolve(!this.adopted.has(key) && this.entries.delete(key));
  }

  close(key: string): Promise<void> {
    this.entries.delete(key);
    this.adopted.delete(key);
    return Promise.resolve();
  }

  unfinished(): Promise<Entry[]> {
    return Promise.resolve([...this.entries.values()].sort(oldestFirst));
  }
}
