/** What a reader might take for shown, and is not. By hand: no run can know what it left out. */
export const notTested: readonly string[] = [
  '**Power.** Killing a process leaves the page cache alone. That a commit survives the loss of power, or a disk that lies, rests on PostgreSQL with `fsync`, `full_page_writes` and `synchronous_commit` on; nothing here would notice if they were off, but for the last.',
  '**The same history twice.** A seed repeats the load, the faults and their times. How real processes interleave is not drawn by anybody; only the model in `test/model` replays to the statement.',
  '**A bank without a memory.** Where the other bank neither recognises a reference nor can be asked for one, nobody can promise one charge. What is unknown then is parked for a person.',
  '**A bank that charges twice by itself.** It is found by the reconciler, and not prevented: no caller could.',
  '**A fail-over that loses the tail.** With asynchronous replication what was acknowledged can be gone (F26, F27). The reconciler would name such payments.',
  '**The relay.** Events for other services, and all that can go wrong with them (F96 to F102, K10, K11, invariant I8, mutations M9 and M10), do not exist yet. They count as not built, never as passed.',
  '**Serializability.** No promise rests on the isolation level: unique constraints, row locks and fenced updates carry them. Reports against PostgreSQL’s own SERIALIZABLE were not looked into.',
  '**Other machines.** Times are those of the machine named above, at leases of a third of a second. In production a lease lasts longer, and so does whatever waits for one.',
  '**Frequency.** Faults come as fast as the machine can bear. How often any of them happens in a year is not in here; nor is a bound of 3/n about anything but what was tried.',
];
