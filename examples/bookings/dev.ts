import type { DevHooks } from '../../engine/migration/dev.ts';
import { statementTraffic } from '../../engine/migration/traffic.ts';

const accountNo = '1000000000 + floor(random() * 40)::BIGINT';
const someBooking =
  '(branch_no, booking_no) = (SELECT branch_no, booking_no FROM bank.bookings ORDER BY random() LIMIT 1)';

export const dev: DevHooks = {
  // Dirty on purpose: an unknown kind of account, bookings on accounts that do not exist, an amount of nothing.
  async seed(client, { users }) {
    await client.query(
      `INSERT INTO bank.accounts (branch_no, account_no, holder, kind)
       SELECT 1 + n % 3, 1000000000 + n, 'Holder ' || n, CASE WHEN n % 19 = 0 THEN 'X' WHEN n % 2 = 0 THEN 'G' ELSE 'S' END
       FROM generate_series(0, $1::INTEGER - 1) n ON CONFLICT DO NOTHING`,
      [users],
    );
    await client.query(
      `INSERT INTO bank.bookings (branch_no, booking_no, debit_account, credit_account, amount, booked_on, memo)
       SELECT 1 + n % 3, n, 1000000000 + n % $1, 1000000000 + (n + 3) % ($1 + 1), CASE WHEN n % 31 = 0 THEN 0 ELSE n * 1.25 END,
              DATE '2026-01-01' + n % 90, CASE WHEN n % 4 = 0 THEN 'rent' END
       FROM generate_series(1, 3 * $1::INTEGER) n ON CONFLICT DO NOTHING`,
      [users],
    );
  },
  traffic: (options) =>
    statementTraffic(options, [
      `INSERT INTO bank.bookings (branch_no, booking_no, debit_account, credit_account, amount, booked_on)
       SELECT 1, coalesce(max(booking_no), 0) + 1, ${accountNo}, ${accountNo}, 1 + floor(random() * 100), current_date FROM bank.bookings WHERE branch_no = 1`,
      `UPDATE bank.bookings SET credit_account = ${accountNo} WHERE ${someBooking}`,
      `UPDATE bank.bookings SET amount = amount + 1, memo = 'corrected' WHERE ${someBooking}`,
      `UPDATE bank.accounts SET kind = CASE kind WHEN 'G' THEN 'S' ELSE 'G' END WHERE account_no = ${accountNo}`,
      `DELETE FROM bank.bookings WHERE ${someBooking}`,
    ]),
};
