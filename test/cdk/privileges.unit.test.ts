import type { Template } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { databaseRoles } from '../../infra/contract.ts';
import { resourcesOf, synthesize } from './support.ts';

const prod = synthesize('prod');

interface Statement {
  Effect: string;
  Action: string | string[];
  Resource: unknown;
}
const statementsOf = (template: Template): Statement[] => [
  ...Object.values(resourcesOf(template, 'AWS::IAM::Policy')).flatMap(
    ({ Properties }) => (Properties.PolicyDocument as { Statement: Statement[] }).Statement,
  ),
  ...Object.values(resourcesOf(template, 'AWS::IAM::Role')).flatMap(({ Properties }) =>
    ((Properties.Policies ?? []) as { PolicyDocument: { Statement: Statement[] } }[]).flatMap(
      ({ PolicyDocument }) => PolicyDocument.Statement,
    ),
  ),
];
const statements = [prod.pipeline, prod.validation, prod.switching, prod.monitoring].flatMap(statementsOf);
const actionsOf = ({ Action }: Statement) => [Action].flat();

test('no action is a wildcard', () => {
  expect(statements.flatMap(actionsOf).filter((action) => action.includes('*'))).toEqual([]);
});

test('only what takes no resource is allowed on all', () => {
  const onAll = statements.filter(({ Resource }) => [Resource].flat().includes('*')).flatMap(actionsOf);
  expect([...new Set(onAll)].sort()).toEqual([
    'ec2:AssignPrivateIpAddresses',
    'ec2:CreateNetworkInterface',
    'ec2:DeleteNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:UnassignPrivateIpAddresses',
    'ecr:GetAuthorizationToken',
  ]);
});

test('each function reads one secret; the one that sets passwords reads those of the roles', () => {
  const reads = (template: Template, policy: RegExp) =>
    Object.entries(resourcesOf(template, 'AWS::IAM::Policy'))
      .filter(([id]) => policy.test(id))
      .flatMap(([, { Properties }]) => (Properties.PolicyDocument as { Statement: Statement[] }).Statement)
      .filter((statement) => actionsOf(statement).includes('secretsmanager:GetSecretValue'))
      .flatMap(({ Resource }) => [Resource].flat()).length;
  expect(reads(prod.pipeline, /^ApplyRole/)).toBe(1);
  expect(reads(prod.pipeline, /^ListenerTaskTaskRole/)).toBe(1);
  expect(reads(prod.validation, /^ValidateRole/)).toBe(1);
  expect(reads(prod.monitoring, /^HealthRole/)).toBe(1);
  expect(reads(prod.switching, /^CutoverRole/)).toBe(1);
  expect(reads(prod.switching, /^RollbacksyncRole/)).toBe(1);
  expect(reads(prod.pipeline, /^MigrateRole/)).toBe(1 + Object.keys(databaseRoles).length);
});

test('the listener sends to the queue, counts dead letters, and does nothing else with queues', () => {
  const [policy] = Object.entries(resourcesOf(prod.pipeline, 'AWS::IAM::Policy')).filter(([id]) =>
    id.startsWith('ListenerTaskTaskRole'),
  );
  const document = policy?.[1].Properties.PolicyDocument as { Statement: Statement[] };
  expect(document.Statement.flatMap(actionsOf).filter((action) => action.startsWith('sqs:'))).toEqual([
    'sqs:SendMessage',
    'sqs:GetQueueAttributes',
  ]);
});

test('people turn the direction and nothing else does: one policy, for two functions, and no other permission', () => {
  const documents = Object.values(resourcesOf(prod.switching, 'AWS::IAM::ManagedPolicy')).map(
    ({ Properties }) => Properties.PolicyDocument,
  );
  const functions = Object.keys(resourcesOf(prod.switching, 'AWS::Lambda::Function'));
  expect(functions).toHaveLength(2);
  const statement = {
    Effect: 'Allow',
    Action: 'lambda:InvokeFunction',
    Resource: functions.map((id) => ({ 'Fn::GetAtt': [id, 'Arn'] })),
  };
  expect(documents).toEqual([expect.objectContaining({ Statement: [statement] })]);
  for (const type of ['AWS::Lambda::Permission', 'AWS::Lambda::EventSourceMapping', 'AWS::Scheduler::Schedule']) {
    expect(resourcesOf(prod.switching, type)).toEqual({});
  }
});

test('the cutover looks at the dead-letter queue and touches no message', () => {
  const queueActions = statementsOf(prod.switching)
    .flatMap(actionsOf)
    .filter((action) => action.startsWith('sqs:'));
  expect(queueActions).toEqual(['sqs:GetQueueAttributes']);
});

test('nobody may come in from outside: security groups without ingress of their own', () => {
  for (const template of [prod.pipeline, prod.validation, prod.switching, prod.monitoring]) {
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::EC2::SecurityGroup'))) {
      expect(Properties.SecurityGroupIngress ?? []).toEqual([]);
    }
  }
});
