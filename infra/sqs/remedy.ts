/** Codes under which SQS asks for patience, on a request or on one entry of a batch, though they come as a client's fault. */
const patience =
  /Throttl|OverLimit|SlowDown|RequestTimeout|RequestExpired|ExpiredToken|ServiceUnavailable|InternalError/;

export interface BatchFault {
  readonly Code?: string | undefined;
  readonly SenderFault?: boolean | undefined;
}

/** Whether an entry that SQS has refused can be accepted later as it is. */
export function entryRemedy({ Code = '', SenderFault = false }: BatchFault): 'retry' | 'stop' {
  return SenderFault && !patience.test(Code) ? 'stop' : 'retry';
}

/**
 * Whether a failed request can succeed later: everything can but what the service calls the client's fault
 * (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html): no such queue, access
 * denied, a bad parameter; and missing credentials.
 *
 * @param worked whether a request has succeeded before: then there are credentials, and who hands them out is away.
 */
export function requestRemedy(error: unknown, worked: boolean): 'retry' | 'stop' {
  if (!(error instanceof Error)) return 'stop';
  if (error.name === 'CredentialsProviderError') return worked ? 'retry' : 'stop';
  const status = '$metadata' in error ? (error.$metadata as { httpStatusCode?: number }).httpStatusCode : undefined;
  if (status === undefined || status < 400 || status >= 500) return 'retry';
  return status === 408 || status === 429 || patience.test(error.name) ? 'retry' : 'stop';
}
