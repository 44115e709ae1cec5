/**
 * What this API promises, as requests to send one after the other. Each scenario begins by choosing its key, in a
 * request of its own: so the payment that follows can be sent as often as you like, and is made once.
 *
 * `test` runs inside Postman, where it is sent as text: it can use `pm` and nothing of this file.
 */
export const scenarios = [
  {
    name: 'Pay, and repeat',
    description: 'The answer got lost? Send the same request with the same key. It gets the same bytes.',
    steps: [
      chooseKey(),
      {
        name: 'Pay Sam £1',
        ...pay(100),
        test: () => {
          pm.test('it is paid', () => pm.response.to.have.status(200));
          pm.test('by this very request', () =>
            pm.expect(pm.response.headers.get('Idempotency-Status')).to.equal('completed'),
          );
          pm.collectionVariables.set('firstAnswer', pm.response.text());
        },
      },
      {
        name: 'The same again',
        ...pay(100),
        test: () => {
          pm.test('it is a replay', () =>
            pm.expect(pm.response.headers.get('Idempotent-Replayed')).to.equal('true'),
          );
          pm.test('with the same bytes', () =>
            pm.expect(pm.response.text()).to.equal(pm.collectionVariables.get('firstAnswer')),
          );
        },
      },
      {
        name: 'Sam was paid once',
        ...balanceOfSam(),
        test: () => {
          const before = Number(pm.collectionVariables.get('balance'));
          pm.test('he has £1 more', () =>
            pm.expect(pm.response.json().balance.posted).to.equal(before + 100),
          );
        },
      },
    ],
  },
  {
    name: 'Collide',
    description:
      'The same key for another request is a mistake. Nothing is paid, and the answer says what differs.',
    steps: [
      chooseKey(),
      {
        name: 'Pay Sam £1',
        ...pay(100),
        test: () => pm.test('it is paid', () => pm.response.to.have.status(200)),
      },
      {
        name: 'The same key for £2',
        ...pay(200),
        test: () => {
          pm.test('it is refused', () => pm.expect(pm.response.code).to.be.oneOf([409, 422]));
          pm.test('as a collision', () => pm.expect(pm.response.json().code).to.equal('collision_detected'));
          pm.test('which names what differs, and not its value', () =>
            pm.expect(pm.response.json().differs_in).to.eql(['amount']),
          );
          pm.test('and would not help again', () =>
            pm.expect(pm.response.headers.get('Should-Retry')).to.equal('false'),
          );
        },
      },
      {
        name: 'Sam was paid £1',
        ...balanceOfSam(),
        test: () => {
          const before = Number(pm.collectionVariables.get('balance'));
          pm.test('he has £1 more', () =>
            pm.expect(pm.response.json().balance.posted).to.equal(before + 100),
          );
        },
      },
    ],
  },
  {
    name: 'Decline',
    description: 'Bob has £50. A decline is an answer too: it is stored, and sent again it is replayed.',
    steps: [
      chooseKey(),
      {
        name: 'Bob pays Sam £100',
        ...pay(10_000),
        apiKey: '{{bobApiKey}}',
        test: () => {
          pm.test('it is declined', () => pm.response.to.have.status(402));
          pm.test('for want of money', () =>
            pm.expect(pm.response.json().code).to.equal('insufficient_funds'),
          );
          pm.collectionVariables.set('firstAnswer', pm.response.text());
        },
      },
      {
        name: 'The same again',
        ...pay(10_000),
        apiKey: '{{bobApiKey}}',
        test: () => {
          pm.test('it is declined still', () => pm.response.to.have.status(402));
          pm.test('with the same bytes', () =>
            pm.expect(pm.response.text()).to.equal(pm.collectionVariables.get('firstAnswer')),
          );
          pm.test('as a replay', () =>
            pm.expect(pm.response.headers.get('Idempotent-Replayed')).to.equal('true'),
          );
        },
      },
    ],
  },
  {
    name: 'In progress',
    description:
      'Tim’s bank takes the money and never answers. That is no failure: the payment is pending until the bank was asked.',
    steps: [
      chooseKey(),
      {
        name: 'Pay Tim through another bank, and do not wait',
        ...pay(100, { to: 'tim', rail: 'bank' }),
        headers: { 'Idempotency-Key': '{{key}}', Prefer: 'respond-async' },
        test: () => {
          pm.test('it is accepted', () => pm.response.to.have.status(202));
          pm.test('and pending', () => pm.expect(pm.response.json().status).to.equal('pending'));
          pm.test('and tells where to ask', () =>
            pm
              .expect(pm.response.headers.get('Location'))
              .to.equal(`/operations/${pm.collectionVariables.get('key')}`),
          );
        },
      },
      {
        name: 'The same again, too early',
        ...pay(100, { to: 'tim', rail: 'bank' }),
        test: () => {
          // Whoever reads this first may find it finished.
          const isFinished = pm.response.code === 200;
          pm.test('it is not started twice', () => pm.expect(pm.response.code).to.be.oneOf([200, 409]));
          pm.test('and says when to ask again', () => {
            if (isFinished) return;
            pm.expect(pm.response.json().code).to.equal('in_progress');
            pm.expect(pm.response.headers.get('Should-Retry')).to.equal('true');
            pm.expect(Number(pm.response.headers.get('Retry-After'))).to.be.within(1, 30);
          });
        },
      },
      {
        name: 'What became of it?',
        method: 'GET',
        path: '/operations/{{key}}',
        test: () =>
          pm.test('it is on its way, or there', () =>
            pm.expect(pm.response.json().state).to.be.oneOf(['in_progress', 'completed']),
          ),
      },
      {
        name: 'The same again, and wait for the answer',
        ...pay(100, { to: 'tim', rail: 'bank' }),
        headers: { 'Idempotency-Key': '{{key}}', Prefer: 'wait=30' },
        test: () => {
          pm.test('it is paid', () => pm.response.to.have.status(200));
          pm.test('through the other bank', () =>
            pm.expect(pm.response.json().bank_transfer_id).to.be.a('string'),
          );
        },
      },
    ],
  },
  {
    name: 'Operations',
    description: 'A key is a thing to put, to look at, and to close.',
    steps: [
      chooseKey(),
      {
        name: 'Put an operation',
        ...putPayment(),
        test: () => {
          pm.test('it is carried out', () => pm.response.to.have.status(200));
          pm.test('to its end', () => pm.expect(pm.response.json().state).to.equal('completed'));
          pm.collectionVariables.set('firstAnswer', pm.response.json().response.body);
        },
      },
      {
        name: 'Put it again',
        ...putPayment(),
        test: () =>
          pm.test('it has happened once, and is still as it was', () =>
            pm.expect(pm.response.json().response.body).to.equal(pm.collectionVariables.get('firstAnswer')),
          ),
      },
      {
        name: 'Look at it',
        method: 'GET',
        path: '/operations/{{key}}',
        test: () =>
          pm.test('the stored answer is there, byte for byte', () =>
            pm.expect(pm.response.json().response.body).to.equal(pm.collectionVariables.get('firstAnswer')),
          ),
      },
      {
        name: 'Cancel it, too late',
        method: 'POST',
        path: '/operations/{{key}}/cancel',
        test: () => {
          pm.test('it is refused', () => pm.response.to.have.status(409));
          pm.test('because it is done', () =>
            pm.expect(pm.response.json().code).to.equal('already_completed'),
          );
        },
      },
      chooseKey('Choose another key'),
      {
        name: 'Close a key that nobody has used',
        method: 'POST',
        path: '/operations/{{key}}/cancel',
        test: () => pm.test('it is closed', () => pm.expect(pm.response.json().state).to.equal('cancelled')),
      },
      {
        name: 'Its payment arrives late',
        ...pay(100),
        test: () => {
          pm.test('it is refused', () => pm.response.to.have.status(409));
          pm.test('because it was cancelled', () =>
            pm.expect(pm.response.json().code).to.equal('operation_cancelled'),
          );
        },
      },
    ],
  },
  {
    name: 'Refund',
    description:
      'A refund is an operation with a key of its own. All refunds together never exceed the payment.',
    steps: [
      chooseKey(),
      {
        name: 'Pay Sam £1',
        ...pay(100),
        test: () => {
          pm.test('it is paid', () => pm.response.to.have.status(200));
          pm.collectionVariables.set('paymentId', pm.response.json().id);
        },
      },
      chooseKey('Choose a key for the refund'),
      {
        name: 'Give 40p back',
        ...refund(40),
        test: () => pm.test('it is given back', () => pm.response.to.have.status(200)),
      },
      {
        name: 'The same again',
        ...refund(40),
        test: () =>
          pm.test('it is a replay', () =>
            pm.expect(pm.response.headers.get('Idempotent-Replayed')).to.equal('true'),
          ),
      },
      chooseKey('Choose a key for another refund'),
      {
        name: 'Give 70p back',
        ...refund(70),
        test: () => {
          pm.test('it is refused', () => pm.response.to.have.status(422));
          pm.test('because only 60p are left', () =>
            pm.expect(pm.response.json().code).to.equal('refund_exceeds_payment'),
          );
        },
      },
    ],
  },
  {
    name: 'The wrong way',
    description:
      'A new key on each send, which `{{$guid}}` is, makes each send a new payment. **Sam is paid twice.** That is what ' +
      'an idempotency key is for, and this is how not to use one: choose the key when the payment is intended, not ' +
      'when it is sent.',
    steps: [
      chooseKey('Look at Sam’s balance'),
      {
        name: 'Pay Sam £1',
        ...pay(100),
        headers: { 'Idempotency-Key': '{{$guid}}' },
        test: () => {
          pm.test('it is paid', () => pm.response.to.have.status(200));
          pm.collectionVariables.set('paymentId', pm.response.json().id);
        },
      },
      {
        name: 'The answer got lost, and the retry makes a new key',
        ...pay(100),
        headers: { 'Idempotency-Key': '{{$guid}}' },
        test: () => {
          pm.test(
            'it is no replay',
            () => pm.expect(pm.response.headers.has('Idempotent-Replayed')).to.be.false,
          );
          pm.test('it is another payment', () =>
            pm.expect(pm.response.json().id).not.to.equal(pm.collectionVariables.get('paymentId')),
          );
        },
      },
      {
        name: 'Sam was paid twice',
        ...balanceOfSam(),
        test: () => {
          const before = Number(pm.collectionVariables.get('balance'));
          pm.test('he has £2 more, and Alice meant £1', () =>
            pm.expect(pm.response.json().balance.posted).to.equal(before + 200),
          );
        },
      },
    ],
  },
];

/** Before the first send, and not on each: that is the whole trick. */
function chooseKey(name = 'Choose a key, and look at Sam’s balance') {
  return {
    name,
    ...balanceOfSam(),
    test: () => {
      pm.collectionVariables.set('key', pm.variables.replaceIn('{{$guid}}'));
      pm.collectionVariables.set('balance', pm.response.json().balance.posted);
      pm.test('Sam has an account', () => pm.response.to.have.status(200));
    },
  };
}

function balanceOfSam() {
  return { method: 'GET', path: '/accounts/sam', apiKey: '{{samApiKey}}' };
}

function pay(amount, more = {}) {
  return {
    method: 'POST',
    path: '/payments',
    headers: { 'Idempotency-Key': '{{key}}' },
    body: { to: 'sam', amount, currency: 'GBP', ...more },
  };
}

function refund(amount) {
  return {
    method: 'POST',
    path: '/payments/{{paymentId}}/refunds',
    headers: { 'Idempotency-Key': '{{key}}' },
    body: { amount },
  };
}

function putPayment() {
  return {
    method: 'PUT',
    path: '/operations/{{key}}',
    body: { operation: 'payment', params: { to: 'sam', amount: 100, currency: 'GBP' } },
  };
}
