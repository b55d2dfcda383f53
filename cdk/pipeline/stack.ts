import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { FargateService } from 'aws-cdk-lib/aws-ecs';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Trigger } from 'aws-cdk-lib/triggers';
import type { Construct } from 'constructs';
import type { Config } from '../config/schema.ts';
import { type DatabaseAccess, type Deployment, type Network, namespaceOf, prefixOf } from '../shared/deployment.ts';
import { createKey } from '../shared/key.ts';
import { createApply } from './apply.ts';
import { createEndpoints } from './endpoints.ts';
import { existingDatabase, existingNetwork } from './existing.ts';
import { createListener } from './listener.ts';
import { createMigrations } from './migrations.ts';
import { createQueues, type Queues } from './queues.ts';
import { createRoleSecrets, type RoleName } from './role-secrets.ts';

export interface PipelineProps extends StackProps {
  readonly config: Config;
  /** The trial's; an existing network and database are in the configuration. */
  readonly trial?: { readonly network: Network; readonly database: DatabaseAccess };
}

/** Everything that moves rows: migrations first, then queue, listener and apply function. */
export class PipelineStack extends Stack {
  readonly deployment: Deployment;
  readonly queues: Queues;
  readonly secrets: Readonly<Record<RoleName, ISecret>>;
  readonly migrations: Trigger;
  readonly apply: LambdaFunction;
  readonly listener: FargateService;

  constructor(scope: Construct, id: string, { config, trial, ...props }: PipelineProps) {
    super(scope, id, props);
    const network = trial?.network ?? existingNetwork(this, config);
    this.deployment = {
      config,
      prefix: prefixOf(config),
      metricNamespace: namespaceOf(config),
      network,
      database: trial?.database ?? existingDatabase(this, config),
      endpoints: createEndpoints(this, config, network),
      key: createKey(this, config),
    };
    this.queues = createQueues(this, this.deployment);
    const secrets = createRoleSecrets(this, this.deployment);
    this.secrets = secrets;
    this.migrations = createMigrations(this, this.deployment, secrets);
    this.apply = createApply(this, this.deployment, this.queues, secrets.applier);
    this.listener = createListener(this, this.deployment, this.queues, secrets.listener);
    // Nothing runs against a database that was not brought to its version.
    this.migrations.executeBefore(this.apply, this.listener);
    this.migrations.executeAfter(...(this.deployment.endpoints?.all ?? []));
    new CfnOutput(this, 'QueueUrl', { value: this.queues.queue.queueUrl });
    new CfnOutput(this, 'DeadLetterQueueUrl', { value: this.queues.deadLetters.queueUrl });
  }
}
