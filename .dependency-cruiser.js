/** What each folder may know. The engine knows nothing of money or HTTP; the ledger knows nothing of keys. */
export default {
  forbidden: [
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'engine-knows-no-money',
      severity: 'error',
      from: { path: '^src/idempotency/', pathNot: '(controller|interceptor|tell)\\.ts$' },
      to: { path: '^src/(payments|ledger|http|bank|telemetry)/' },
    },
    {
      name: 'ledger-knows-no-keys',
      severity: 'error',
      from: { path: '^src/ledger/', pathNot: 'controller\\.ts$' },
      to: { path: '^src/(http|idempotency)/' },
    },
    {
      name: 'product-knows-no-tests',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { path: '^(test|bench|start|lab|bank)/' },
    },
    {
      name: 'the-bank-is-another-company',
      severity: 'error',
      from: { path: '^bank/' },
      to: { path: '^(src|migrations|start|test)/' },
    },
    {
      name: 'the-client-is-another-program',
      severity: 'error',
      from: { path: '^client/(src|cli|storm)/' },
      to: { path: '^(src|migrations|start|bank|test|bench)/' },
    },
    {
      name: 'the-client-needs-nothing',
      severity: 'error',
      from: { path: '^client/(src|cli|storm)/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'only-the-file-journal-needs-node',
      severity: 'error',
      from: {
        path: '^client/src/',
        pathNot: '/journal/(file-journal|entry-file|directory-sync)|\\.spec\\.ts$',
      },
      to: { dependencyTypes: ['core'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
  },
};
