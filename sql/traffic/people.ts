import type { Action, Work } from './transaction.ts';

const plans = ['free', 'free', 'pro', 'pro', 'enterprise'] as const;

async function signUp({ random, change }: Work): Promise<void> {
  const user = random.uuid();
  await change(`INSERT INTO public.users (id, email, display_name, subscription_plan) VALUES ($1, $2, $3, 'free')`, [
    user,
    `${user.slice(0, 8)}@mail.example`,
    `User ${user.slice(0, 4)}`,
  ]);
  await change(`INSERT INTO public.video_projects (id, user_id, title) VALUES ($1, $2, 'My first film')`, [
    random.uuid(),
    user,
  ]);
  if (random.chance(0.4)) await subscribe({ random, change }, user, random.pick(plans));
}

async function subscribe(
  { random, change }: Pick<Work, 'random' | 'change'>,
  user: unknown,
  plan: string,
): Promise<void> {
  const id = random.uuid();
  await change(
    `INSERT INTO public.subscriptions (id, user_id, status, current_period_start, current_period_end,
       stripe_subscription_id, stripe_customer_id)
     VALUES ($1, $2, 'active', now(), now() + interval '1 month', $3, $4)`,
    [id, user, `sub_${id.replaceAll('-', '').slice(0, 24)}`, `cus_${String(user).slice(0, 8)}`],
  );
  await change('UPDATE public.users SET subscription_plan = $2, updated_at = now() WHERE id = $1', [user, plan]);
}

/** The active subscription is swapped for another in one transaction. */
async function changePlan({ random, change, any }: Work): Promise<void> {
  const user = await any('users');
  if (!user) return;
  await change(
    `UPDATE public.subscriptions SET status = 'cancelled', updated_at = now() WHERE user_id = $1 AND status = 'active'`,
    [user.id],
  );
  await subscribe({ random, change }, user.id, random.pick(plans));
}

async function renewSubscription({ change, any }: Work): Promise<void> {
  const subscription = await any('subscriptions');
  if (!subscription) return;
  await change(
    `UPDATE public.subscriptions SET current_period_start = current_period_end,
       current_period_end = current_period_end + interval '1 month', updated_at = now() WHERE id = $1`,
    [subscription.id],
  );
}

/** An old subscription is the active one again, and the active one is not. */
async function reactivate({ change, any }: Work): Promise<void> {
  const old = await any('subscriptions');
  if (!old?.user_id) return;
  await change(
    `UPDATE public.subscriptions SET updated_at = now(), status =
       CASE WHEN id = $2 THEN 'active' ELSE 'cancelled' END::public.subscription_status
     WHERE user_id = $1 AND (id = $2 OR status = 'active')`,
    [old.user_id, old.id],
  );
}

async function addMediaItem({ random, change, any }: Work): Promise<void> {
  const user = await any('users');
  if (!user) return;
  const id = random.uuid();
  const bytes = random.chance(0.02) ? null : 10_000 + random.below(5_000_000);
  await change(
    `INSERT INTO public.media_items (id, user_id, original_filename, file_url, mime_type, file_size_bytes, width, height)
     VALUES ($1, $2, $3, $4, 'image/png', $5, 1920, 1080)`,
    [id, user.id, `clip-${random.below(1000)}.png`, `https://files.example/library/${id}.png`, bytes],
  );
  await change(
    'UPDATE public.users SET total_storage_bytes = total_storage_bytes + coalesce($2::bigint, 0) WHERE id = $1',
    [user.id, bytes],
  );
}

async function deleteMediaItem({ change, any }: Work): Promise<void> {
  const item = await any('media_items');
  if (item) await change('DELETE FROM public.media_items WHERE id = $1', [item.id]);
}

async function leave({ change, any }: Work): Promise<void> {
  const user = await any('users');
  if (user) await change('DELETE FROM public.users WHERE id = $1', [user.id]);
}

export const peopleActions: readonly Action[] = [
  { weight: 4, run: signUp },
  { weight: 0.5, run: leave },
  { weight: 4, run: changePlan },
  { weight: 3, run: renewSubscription },
  { weight: 2, run: reactivate },
  { weight: 8, run: addMediaItem },
  { weight: 3, run: deleteMediaItem },
];
