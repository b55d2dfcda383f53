import type { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { metricNamespace } from '../../infra/contract.ts';
import type { Config } from '../config/schema.ts';

/** Where the functions and the listener run. */
export interface Network {
  readonly vpc: IVpc;
  readonly subnets: SubnetSelection;
}

/** The database that is migrated; an existing one, or the trial's. */
export interface DatabaseAccess {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly securityGroup: ISecurityGroup;
  readonly administrator: ISecret;
  readonly metricDimensions: Readonly<Record<string, string>>;
}

/** Ways to AWS that the deployment made, because the subnets have none. */
export interface Endpoints {
  readonly securityGroup: ISecurityGroup;
  readonly all: readonly Construct[];
}

/** What every part of a deployment shares. */
export interface Deployment {
  readonly config: Config;
  /** `lockstep-NAME`, the beginning of every name. */
  readonly prefix: string;
  /** Of CloudWatch's metrics: deployments of one account are told apart by it. */
  readonly metricNamespace: string;
  readonly network: Network;
  readonly database: DatabaseAccess;
  readonly endpoints: Endpoints | undefined;
  /** Encrypts queues, logs, secrets, reports and notifications. */
  readonly key: IKey;
}

export const prefixOf = ({ name }: Config): string => `lockstep-${name}`;

export const namespaceOf = ({ name }: Config): string => `${metricNamespace}/${name}`;
