import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  InstanceClass,
  InstanceSize,
  InstanceType,
  type IVpc,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import type { Key } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import {
  Credentials,
  DatabaseInstance,
  DatabaseInstanceEngine,
  ParameterGroup,
  PostgresEngineVersion,
} from 'aws-cdk-lib/aws-rds';
import { HostedRotation, type ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { Config } from '../config/schema.ts';
import { acknowledge } from '../shared/acknowledge.ts';
import { type DatabaseAccess, type Network, prefixOf } from '../shared/deployment.ts';
import { createKey } from '../shared/key.ts';

export interface TrialProps extends StackProps {
  readonly config: Extract<Config, { kind: 'trial' }>;
}

const port = 5433;
const databaseName = 'photomemory';

/** What an empty account lacks: a VPC with one NAT gateway, and a small PostgreSQL with logical replication on. */
export class TrialStack extends Stack {
  readonly network: Network;
  readonly database: DatabaseAccess;

  constructor(scope: Construct, id: string, { config, ...props }: TrialProps) {
    super(scope, id, props);
    const key = createKey(this, config);
    this.network = this.createNetwork(config, key);
    this.database = this.createDatabase(config, key);
  }

  private createNetwork(config: Config, key: Key): Network {
    const vpc = new Vpc(this, 'Vpc', {
      vpcName: prefixOf(config),
      maxAzs: 2,
      natGateways: 1,
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, mapPublicIpOnLaunch: false },
        { name: 'private', subnetType: SubnetType.PRIVATE_WITH_EGRESS },
        { name: 'database', subnetType: SubnetType.PRIVATE_ISOLATED },
      ],
    });
    const logs = new LogGroup(this, 'FlowLogs', {
      logGroupName: `/${prefixOf(config)}/network`,
      encryptionKey: key,
      retention: config.retention.logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    vpc.addFlowLog('FlowLog', { destination: FlowLogDestination.toCloudWatchLogs(logs) });
    // Vpc declares as "or undefined" what IVpc declares as optional.
    return { vpc: vpc as IVpc, subnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS } };
  }

  private createDatabase(config: Config, key: Key): DatabaseAccess {
    const { vpc, subnets } = this.network;
    const engine = DatabaseInstanceEngine.postgres({ version: PostgresEngineVersion.of('18', '18') });
    const securityGroup = new SecurityGroup(this, 'DatabaseSecurityGroup', {
      vpc,
      description: `${prefixOf(config)} database`,
      allowAllOutbound: false,
    });
    const instance = new DatabaseInstance(this, 'Database', {
      instanceIdentifier: prefixOf(config),
      engine,
      instanceType: InstanceType.of(InstanceClass.T4G, InstanceSize.SMALL),
      databaseName,
      port,
      credentials: Credentials.fromGeneratedSecret('postgres', {
        encryptionKey: key,
        secretName: `${prefixOf(config)}/administrator`,
      }),
      vpc,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
      securityGroups: [securityGroup],
      allocatedStorage: 20,
      maxAllocatedStorage: 100,
      storageEncrypted: true,
      storageEncryptionKey: key,
      backupRetention: Duration.days(1),
      iamAuthentication: false,
      publiclyAccessible: false,
      deletionProtection: false,
      removalPolicy: RemovalPolicy.DESTROY,
      parameterGroup: new ParameterGroup(this, 'Parameters', {
        engine,
        description: 'Logical replication on; a slot may keep 8 GB of WAL and no more',
        // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.FeatureSupport.LogicalReplication.html
        parameters: {
          'rds.logical_replication': '1',
          'rds.force_ssl': '1',
          max_slot_wal_keep_size: '8192',
          shared_preload_libraries: 'pg_stat_statements',
        },
      }),
    });
    acknowledge(instance, {
      'AwsSolutions-RDS3': 'A trial: an outage of its zone is no loss, and a second instance doubles the price.',
      'AwsSolutions-RDS10': 'A trial is made to be torn down.',
    });
    const administrator = instance.secret as ISecret;
    const rotators = new SecurityGroup(this, 'RotationSecurityGroup', { vpc, description: 'rotation of the password' });
    instance.connections.allowDefaultPortFrom(rotators, 'rotation of the password');
    administrator.addRotationSchedule('Rotation', {
      automaticallyAfter: Duration.days(config.retention.rotationDays),
      rotateImmediatelyOnUpdate: false,
      hostedRotation: HostedRotation.postgreSqlSingleUser({
        functionName: `${prefixOf(config)}-rotate-administrator`,
        vpc,
        vpcSubnets: subnets,
        securityGroups: [rotators],
        excludeCharacters: ' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~',
      }),
    });
    return {
      host: instance.dbInstanceEndpointAddress,
      port,
      name: databaseName,
      securityGroup,
      administrator,
      metricDimensions: { DBInstanceIdentifier: instance.instanceIdentifier },
    };
  }
}
