/** Why a row in the report is believed not to be what it should be. */
export const whyDrift =
  'The scope was locked against merges and compared, and then everything committed before the comparison was applied: no change on its way explains the difference.';
export const whyQuarantined = 'The scope is in quarantine: the target refused its rows.';
