import { oldestFirst, takenByAnother, type Entry, type Journal } from './journal.js';

/**
 * Forgets with the process. That is enough where the process outlives its payments in any case (a test, a page that
 * keeps its keys itself) and nowhere else: a program that restarts needs a file journal, or its own database.
 */
export class MemoryJournal implements Journal {
  private readonly entries = new Map<string, Entry>();

  open(entry: Entry): Promise<boolean> {
    const earlier = this.entries.get(entry.key);
    if (!earlier) {
      this.entries.set(entry.key, entry);
      return Promise.resolve(true);
    }
    if (earlier.sender === entry.sender) return Promise.resolve(false);
    return Promise.reject(takenByAnother(entry.key, 'The journal'));
  }

  close(key: string): Promise<void> {
    this.entries.delete(key);
    return Promise.resolve();
  }

  unfinished(): Promise<Entry[]> {
    return Promise.resolve([...this.entries.values()].sort(oldestFirst));
  }
}
