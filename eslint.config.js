import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist', 'client/dist', 'coverage', '.data'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // A promise nobody awaits is a payment nobody waits for.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // Entities are shapes: a row of the books is a plain object, and no method is lost.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      // Nest's modules are empty classes that carry decorators.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "CallExpression[callee.property.name='save']",
          message: 'save() overwrites silently; use insert() or a statement.',
        },
        {
          selector: "MemberExpression[property.name='headersDistinct']",
          message: 'headersDistinct crashed on a header called __proto__ (CVE-2026-21710); use rawHeaders.',
        },
        {
          selector:
            "CallExpression[callee.property.name='query'] > TemplateLiteral.arguments[expressions.length>0]",
          message: 'SQL is a constant; values travel as parameters.',
        },
      ],
    },
  },
);
