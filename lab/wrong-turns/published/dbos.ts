import { inProgress, type Answer, type Design, type Order, type Tools } from '../../compare/design.js';
import { loadPackage } from './load-package.js';

/** How long a caller waits for a workflow before it is told to come back: seconds. */
const callerWaitSeconds = 2;

/** The bank is asked again after a time-out, this often; the payment's id is kept, so it knows it for a repeat. */
const bankStep = { name: 'bank', retriesAllowed: true, intervalSeconds: 0.1, backoffRate: 2, maxAttempts: 8 };

/** The payment with this id has been entered already. */
const uniqueViolation = '23505';

/**
 * @dbos-inc/dbos-sdk as its page shows it: the idempotency key is the workflow's id, the bank and the books are steps.
 * A step may run again after a crash, so the payment's id is drawn in a step of its own, and an id that is there
 * already has been entered.
 */
export class Dbos implements Design {
  private constructor(
    private readonly dbos: DbosClass,
    private readonly takePayment: Workflow,
  ) {}

  static async over({ till, dataSource, settings }: Tools): Promise<Design> {
    const { DBOS } = await loadPackage<{ DBOS: DbosClass }>('@dbos-inc/dbos-sdk');
    DBOS.setConfig({
      name: 'compared',
      systemDatabaseUrl: settings.databaseUrl,
      systemDatabasePoolSize: settings.databaseConnectionsMax,
      logLevel: 'error',
    });
    const takePayment = DBOS.registerWorkflow(
      async (order: Order) => {
        const id = await DBOS.randomUUID();
        const transferId = await DBOS.runStep(() => till.askBank(order, id), bankStep);
        return DBOS.runStep(
          () =>
            dataSource
              .transaction(tx => till.enter(tx, order, { id, transferId }))
              .catch((error: unknown) => {
                if ((error as { code?: string }).code === uniqueViolation) return till.recall(order, id);
                throw error;
              }),
          { name: 'books' },
        );
      },
      { name: 'takePayment' },
    );
    return new Dbos(DBOS, takePayment);
  }

  start(): Promise<void> {
    return this.dbos.launch();
  }

  async pay(order: Order): Promise<Answer> {
    const workflowID = `${order.customerId} ${order.key}`;
    const handle = await this.dbos.startWorkflow(this.takePayment, { workflowID })(order);
    const answer = await handle.getResult({ timeoutSeconds: callerWaitSeconds });
    if (answer === null) throw inProgress();
    return answer;
  }
}

type Workflow = (order: Order) => Promise<Answer>;

/** As much of it as is used. */
interface DbosClass {
  setConfig(config: object): void;
  launch(): Promise<void>;
  randomUUID(): Promise<string>;
  runStep<Result>(step: () => Promise<Result>, options: object): Promise<Result>;
  registerWorkflow(run: Workflow, options: { name: string }): Workflow;
  startWorkflow(workflow: Workflow, options: { workflowID: string }): (order: Order) => Promise<Handle>;
}

interface Handle {
  getResult(options: { timeoutSeconds: number }): Promise<Answer | null>;
}
