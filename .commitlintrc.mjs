// Conventional Commits, with a scope that is always there: the change log and the path from a commit
// to its owner are read off the scope, so `feat: ...` is refused. `.mjs` because package.json is not
// an ES module, and so that no tool has to guess.

const types = [
    'feat', 'fix', 'docs', 'style', 'refactor', 'perf', 'test', 'build', 'ci', 'chore', 'revert',
];

const scopes = [
    'api-gateway',
    'user-service',
    'product-service',
    'order-service',
    'payment-service',
    'notification-service',
    'infra',      // OpenTofu, AWS
    'ci',         // pipelines, hooks, rulesets
    'docs',
    'core',       // the kernel: include/, src/, config/, the build
    'storefront',
    'deploy',     // container, chart, GitOps, observability, policy
    'deps',
];

export default {
    extends: ['@commitlint/config-conventional'],
    rules: {
        'type-enum': [2, 'always', types],
        // One thought a commit, so one scope: `)` can never be inside a scope, which turns off
        // commitlint's splitting of `core,ci`.
        'scope-enum': [2, 'always', { scopes, delimiters: [')'] }],
        'scope-empty': [2, 'never'],
        'body-leading-blank': [2, 'always'],
    },
    // commitlint's own list also waves through `revert anything` and bare version numbers. Merges are
    // git's words, not ours; autosquash commits live only until the rebase (the history test and the
    // ruleset of main refuse them).
    defaultIgnores: false,
    ignores: [
        (message) => /^Merge (branch|tag|pull request|remote-tracking branch|commit) /.test(message),
        (message) => /^(fixup|squash|amend)! /.test(message),
    ],
};
