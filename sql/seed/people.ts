import { type Dice, minutesAfterStart, orphans } from './dice.ts';

/** Minutes from the start to the day on which user `n` joined: within 2.5 years. */
export const joined = ({ roll }: Dice) => roll('joined', 'n', 1_300_000);

/** Erratum 7: a plan that the new schema does not know, and no plan at all. */
export function seedUsers(d: Dice, users: number): string {
  return `
    INSERT INTO public.users (id, email, display_name, subscription_plan, created_at, updated_at)
    SELECT ${d.id('user', 'n')}, 'user' || n || '@mail.example', 'User ' || n,
      CASE
        WHEN ${d.rarely('gold', 'n', 'n = 3', 400)} THEN 'gold'
        WHEN ${d.rarely('no plan', 'n', 'n = 9', 1000)} THEN NULL
        WHEN ${d.roll('plan', 'n', 100)} < 70 THEN 'free'
        WHEN ${d.roll('plan', 'n', 100)} < 96 THEN 'pro'
        ELSE 'enterprise'
      END,
      ${minutesAfterStart(joined(d))}, ${minutesAfterStart(`${joined(d)} + ${d.roll('user updated', 'n', 60_000)}`)}
    FROM generate_series(1, ${users}) AS n
    ON CONFLICT (id) DO NOTHING`;
}

/**
 * About 1.2 for each user. Erratum 4: none (user 4), two active ones (user 2), with the same period end (user 10), with
 * the same creation time too (user 12). A NULL status, NULL periods, Stripe ids that are too long or end in spaces.
 */
export function seedSubscriptions(d: Dice, users: number): string {
  const count = `CASE
      WHEN n IN (2, 10, 12) THEN 2 WHEN n IN (5, 6, 7, 8) THEN 1 WHEN n = 4 THEN 0
      WHEN ${d.roll('subscriptions', 'n', 100)} < 20 THEN 0
      WHEN ${d.roll('subscriptions', 'n', 100)} < 65 THEN 1
      WHEN ${d.roll('subscriptions', 'n', 100)} < 95 THEN 2
      ELSE 3
    END`;
  const number = 'n * 4 + i';
  const noPeriod = d.rarely('no period', number, 'n = 8', 300);
  return `
    INSERT INTO public.subscriptions (id, user_id, status, current_period_start, current_period_end,
      stripe_subscription_id, stripe_customer_id, created_at, updated_at)
    SELECT ${d.id('subscription', number)}, ${d.id('user', 'n')},
      CASE
        WHEN ${d.rarely('no status', number, 'n = 5', 500)} THEN NULL
        WHEN n IN (2, 10, 12) OR (i > 1 AND ${d.roll('second active', number, 100)} = 0) THEN 'active'
        WHEN i > 1 THEN ${d.pick('past status', number, ["'cancelled'", "'expired'"])}
        ELSE ${d.pick('status', number, [...Array(16).fill("'active'"), "'trialing'", "'past_due'", "'cancelled'", "'expired'"])}
      END::public.subscription_status,
      CASE WHEN NOT ${noPeriod} THEN ${minutesAfterStart(`${joined(d)} + i * 43200`)} END,
      CASE WHEN NOT ${noPeriod} THEN ${minutesAfterStart(`${joined(d)} + CASE WHEN n IN (10, 12) THEN 1 ELSE i END * 43200 + 43200`)} END,
      CASE
        WHEN ${d.rarely('long stripe id', number, 'n = 6', 2000)} THEN 'sub_' || repeat('x', 300) || ${number}
        WHEN ${d.rarely('padded stripe id', number, 'n = 7', 2000)} THEN rpad('sub_' || ${number}, 300)
        WHEN ${d.roll('by stripe', number, 10)} > 0 THEN 'sub_' || substr(md5('stripe ' || ${number}), 1, 24)
      END,
      'cus_' || substr(md5('customer ' || n), 1, 14),
      ${minutesAfterStart(`${joined(d)} + CASE WHEN n = 12 THEN 1 ELSE i END * 43200`)},
      ${minutesAfterStart(`${joined(d)} + i * 43200 + ${d.roll('subscription updated', number, 40_000)}`)}
    FROM generate_series(1, ${users}) AS n, LATERAL generate_series(1, ${count}) AS i
    UNION ALL
    SELECT ${d.id('orphaned subscription', 'n')}, CASE WHEN n % 2 = 0 THEN ${d.id('nobody', 'n')} END, 'active',
      ${minutesAfterStart('n')}, ${minutesAfterStart('n + 43200')}, NULL, NULL, ${minutesAfterStart('n')}, ${minutesAfterStart('n')}
    FROM generate_series(1, ${2 * orphans(users, 1000)}) AS n
    ON CONFLICT (id) DO NOTHING`;
}

/** About 5 for each user, of many MIME types. */
export function seedMediaItems(d: Dice, users: number): string {
  const number = 'n * 16 + i';
  const count = `CASE WHEN n <= 20 THEN 4 ELSE ${d.roll('media items', 'n', 11)} END`;
  const mimeTypes = ["'image/png'", "'image/jpeg'", "'video/mp4'", "'audio/mpeg'", "'application/pdf'", "'IMAGE/HEIC'"];
  return `
    INSERT INTO public.media_items (id, user_id, original_filename, file_url, thumbnail_url, mime_type, file_size_bytes,
      width, height, metadata, created_at, updated_at)
    SELECT ${d.id('media item', number)}, ${d.id('user', 'n')},
      CASE
        WHEN ${d.rarely('item without name', number, 'n = 5 AND i = 1', 200)} THEN NULL
        WHEN ${d.rarely('long item name', number, 'n = 6 AND i = 1', 1000)} THEN repeat('long ', 60) || ${number}
        ELSE 'clip ' || ${number} || '.bin'
      END,
      'https://cdn.photomemory.example/library/' || ${number} || '/clip%20' || i || '.bin?v=2#t=' || i,
      NULL,
      CASE
        WHEN ${d.rarely('item without type', number, 'n = 8 AND i = 1', 200)} THEN NULL
        ELSE ${d.pick('item type', number, mimeTypes)}
      END,
      CASE WHEN NOT ${d.rarely('item without size', number, 'n = 10 AND i = 1', 200)} THEN 10000 + ${d.roll('item size', number, 20_000_000)} END,
      NULL, NULL, '{}'::jsonb, ${minutesAfterStart(`${joined(d)} + i * 700`)}, ${minutesAfterStart(`${joined(d)} + i * 900`)}
    FROM generate_series(1, ${users}) AS n, LATERAL generate_series(1, ${count}) AS i
    UNION ALL
    SELECT ${d.id('orphaned media item', 'n')}, CASE WHEN n % 2 = 0 THEN ${d.id('nobody', 'n')} END, 'lost.png',
      'https://cdn.photomemory.example/lost/' || n || '.png', NULL, 'image/png', 1000, 10, 10, '{}'::jsonb,
      ${minutesAfterStart('n')}, ${minutesAfterStart('n')}
    FROM generate_series(1, ${2 * orphans(users, 500)}) AS n
    ON CONFLICT (id) DO NOTHING`;
}

export function seedUsageRecords(d: Dice, users: number): string {
  return `
    INSERT INTO public.usage_records (id, user_id, period_start, period_end, metric, quantity, created_at)
    SELECT ${d.id('usage', 'n * 2 + i')}, ${d.id('user', 'n')}, ${minutesAfterStart(`${joined(d)}`)},
      ${minutesAfterStart(`${joined(d)} + 43200`)}, (ARRAY['videos', 'storage_bytes'])[1 + i],
      ${d.roll('usage', 'n * 2 + i', 1000)}, ${minutesAfterStart(`${joined(d)} + 43200`)}
    FROM generate_series(1, ${users}) AS n, generate_series(0, 1) AS i
    ON CONFLICT (id) DO NOTHING`;
}
