import { Duration } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { environment } from '../../infra/contract.ts';
import { codeOf } from '../bundle/asset.ts';
import { authoritiesFile, type BundleName } from '../bundle/bundle.ts';
import { acknowledge } from './acknowledge.ts';
import type { Deployment } from './deployment.ts';
import { createLogGroup } from './log-group.ts';
import { readSecret } from './read-secret.ts';
import { createSecurityGroup } from './security-group.ts';

export interface FunctionOptions {
  readonly name: Exclude<BundleName, 'listener'>;
  readonly description: string;
  /** Of the database role that it connects as. */
  readonly secret: ISecret;
  readonly timeoutSeconds: number;
  readonly memoryMiB: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** Instances at once; default: as many as the account allows. */
  readonly reservedConcurrency?: number;
}

export interface CreatedFunction {
  readonly lambda: LambdaFunction;
  readonly role: Role;
}

/** Where Lambda unpacks the code: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html */
const taskRoot = '/var/task';

/**
 * A function inside the VPC with a role of its own, which may write its own logs, read its own secret and, because Lambda
 * asks that of a function in a VPC, manage its network interfaces.
 */
export function createFunction(parent: Construct, deployment: Deployment, options: FunctionOptions): CreatedFunction {
  const { name, secret, description } = options;
  const { network, prefix } = deployment;
  const scope = new Construct(parent, `${name[0]?.toUpperCase()}${name.slice(1)}`);
  const logGroup = createLogGroup(scope, deployment, name);
  const role = new Role(scope, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com'), description });
  logGroup.grantWrite(role);
  readSecret(role, secret);
  role.addToPolicy(networkInterfaces());
  acknowledge(role, {
    'AwsSolutions-IAM5[Resource::*]':
      'The actions on network interfaces that Lambda needs in a VPC take no resource: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions',
  });
  const lambda = new LambdaFunction(scope, 'Function', {
    functionName: `${prefix}-${name}`,
    description,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    code: codeOf(name),
    handler: `functions/${name}/main.handler`,
    role,
    logGroup,
    timeout: Duration.seconds(options.timeoutSeconds),
    // Schedules come again by themselves, and people ask again.
    retryAttempts: 0,
    maxEventAge: Duration.minutes(1),
    memorySize: options.memoryMiB,
    vpc: network.vpc,
    vpcSubnets: network.subnets,
    securityGroups: [createSecurityGroup(scope, deployment, `${prefix} ${name}`)],
    environment: {
      [environment.databaseSecretArn]: secret.secretArn,
      [environment.databaseCaFile]: `${taskRoot}/${authoritiesFile}`,
      [environment.metricNamespace]: deployment.metricNamespace,
      ...options.environment,
    },
    ...(options.reservedConcurrency !== undefined && { reservedConcurrentExecutions: options.reservedConcurrency }),
  });
  // Policies and the way to the database exist before the first invocation.
  lambda.node.addDependency(...scope.node.children.filter((child) => child !== lambda));
  return { lambda, role };
}

function networkInterfaces(): PolicyStatement {
  return new PolicyStatement({
    actions: [
      'ec2:CreateNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:DeleteNetworkInterface',
      'ec2:AssignPrivateIpAddresses',
      'ec2:UnassignPrivateIpAddresses',
    ],
    resources: ['*'],
  });
}
