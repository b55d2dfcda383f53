import type { Action, Work } from './transaction.ts';

const titles = ['Summer', 'Wedding', 'Road trip', 'First steps', 'Grandmother is ninety'] as const;

async function uploadPhotos({ random, change, any }: Work): Promise<void> {
  const project = await any('video_projects');
  if (!project) return;
  for (let count = 1 + random.below(4); count > 0; count--) {
    const id = random.uuid();
    const bytes = random.chance(0.02) ? null : 100_000 + random.below(8_000_000);
    await change(
      `INSERT INTO public.photos (id, project_id, original_filename, file_url, thumbnail_url, mime_type,
         file_size_bytes, width, height, metadata, upload_order)
       VALUES ($1, $2, $3, $4, $4 || '?small', $5, $6, 4032, 3024, $7,
         (SELECT coalesce(max(upload_order) FILTER (WHERE upload_order < 1000000), 0) + 1 FROM public.photos
           WHERE project_id = $2))`,
      [
        id,
        project.id,
        random.chance(0.02) ? null : `IMG_${random.below(10_000)}.jpg`,
        `https://files.example/photos/${id}.jpg`,
        random.chance(0.02) ? null : 'image/jpeg',
        bytes,
        JSON.stringify({ camera: random.pick(['A7', 'X100', 'Phone']), iso: 100 * (1 + random.below(32)) }),
      ],
    );
    await change(
      'UPDATE public.users SET total_storage_bytes = total_storage_bytes + coalesce($2::bigint, 0) WHERE id = $1',
      [project.user_id, bytes],
    );
  }
}

/** Two photos of a project change places, in one statement or in two. */
async function swapPhotos({ random, read, change, any }: Work): Promise<void> {
  const first = await any('photos');
  const [second] = await read('SELECT * FROM public.photos WHERE project_id = $1 AND id <> $2 LIMIT 1', [
    first?.project_id,
    first?.id,
  ]);
  if (!first || !second) return;
  if (random.chance(0.5)) {
    const place = 'UPDATE public.photos SET upload_order = $2, updated_at = now() WHERE id = $1';
    await change(place, [first.id, second.upload_order]);
    await change(place, [second.id, first.upload_order]);
  } else {
    await change(
      `UPDATE public.photos SET upload_order = CASE id WHEN $1 THEN $3::integer ELSE $4::integer END, updated_at = now()
       WHERE id IN ($1, $2)`,
      [first.id, second.id, second.upload_order, first.upload_order],
    );
  }
}

async function reversePhotos({ change, any }: Work): Promise<void> {
  const project = await any('video_projects');
  if (!project) return;
  await change(
    `UPDATE public.photos p SET upload_order = r.place, updated_at = now()
     FROM (SELECT id, row_number() OVER (ORDER BY upload_order DESC, id) AS place
           FROM public.photos WHERE project_id = $1) r
     WHERE p.id = r.id`,
    [project.id],
  );
}

async function movePhoto({ change, any }: Work): Promise<void> {
  const photo = await any('photos');
  const project = await any('video_projects');
  if (!photo || !project) return;
  await change('UPDATE public.photos SET project_id = $2, updated_at = now() WHERE id = $1', [photo.id, project.id]);
}

/** What photographers write about a picture; now and then a program writes very much. */
async function annotatePhoto({ random, change, any }: Work): Promise<void> {
  const photo = await any('photos');
  if (!photo) return;
  const words = random.chance(0.02) ? 20_000 : 3;
  const note = Array.from({ length: words }, () => random.below(1e9).toString(36)).join(' ');
  await change(
    `UPDATE public.photos SET metadata = metadata || jsonb_build_object('note', $2::text), updated_at = now() WHERE id = $1`,
    [photo.id, note],
  );
}

async function deletePhoto({ change, any }: Work): Promise<void> {
  const photo = await any('photos');
  if (photo) await change('DELETE FROM public.photos WHERE id = $1', [photo.id]);
}

/** The primary key changes: an import that was done under the wrong id. */
async function renamePhotoKey({ random, change, any }: Work): Promise<void> {
  const photo = await any('photos');
  if (photo)
    await change('UPDATE public.photos SET id = $2, updated_at = now() WHERE id = $1', [photo.id, random.uuid()]);
}

async function createProject({ random, change, any }: Work): Promise<void> {
  const user = await any('users');
  if (!user) return;
  const values = [random.uuid(), user.id, random.pick(titles)];
  await change('INSERT INTO public.video_projects (id, user_id, title) VALUES ($1, $2, $3)', values);
}

async function renameProject({ random, change, any }: Work): Promise<void> {
  const project = await any('video_projects');
  if (!project) return;
  const values = [project.id, random.pick(titles), random.pick(['draft', 'ready', 'deleted'])];
  await change('UPDATE public.video_projects SET title = $2, status = $3, updated_at = now() WHERE id = $1', values);
}

async function giveProject({ change, any }: Work): Promise<void> {
  const project = await any('video_projects');
  const user = await any('users');
  if (!project || !user) return;
  await change('UPDATE public.video_projects SET user_id = $2, updated_at = now() WHERE id = $1', [
    project.id,
    user.id,
  ]);
}

async function deleteProject({ change, any }: Work): Promise<void> {
  const project = await any('video_projects');
  if (project) await change('DELETE FROM public.video_projects WHERE id = $1', [project.id]);
}

async function queueVideo({ random, change, any }: Work): Promise<void> {
  const project = await any('video_projects');
  if (!project) return;
  const id = random.uuid();
  await change(
    `INSERT INTO public.generated_videos (id, project_id, status, generation_service, external_generation_id, ai_prompt)
     VALUES ($1, $2, 'queued', $3, $4, $5)`,
    [id, project.id, random.pick(['runway', 'pika']), `gen_${id.slice(0, 8)}`, `A film about ${random.pick(titles)}`],
  );
}

/** A video goes one step on: queued, processing, completed or failed. */
async function advanceVideo({ random, change, any }: Work): Promise<void> {
  const video = await any('generated_videos');
  if (video?.status === 'queued') {
    await change(
      `UPDATE public.generated_videos SET status = 'processing', started_at = now(), progress_percentage = 10,
         updated_at = now() WHERE id = $1`,
      [video.id],
    );
  } else if (video?.status === 'processing' && random.chance(0.8)) {
    await change(
      `UPDATE public.generated_videos SET status = 'completed', completed_at = now(), progress_percentage = 100,
         duration_seconds = $2, file_size_bytes = $3, file_url = $4, thumbnail_url = $4 || '?small', updated_at = now()
       WHERE id = $1`,
      [video.id, 10 + random.below(120), random.below(200_000_000), `https://files.example/videos/${video.id}.mp4`],
    );
  } else if (video?.status === 'processing') {
    await change(
      `UPDATE public.generated_videos SET status = 'failed', error_message = 'The service gave up.', updated_at = now()
       WHERE id = $1`,
      [video.id],
    );
  }
}

export const projectActions: readonly Action[] = [
  { weight: 16, run: uploadPhotos },
  { weight: 8, run: swapPhotos },
  { weight: 1, run: reversePhotos },
  { weight: 5, run: movePhoto },
  { weight: 8, run: annotatePhoto },
  { weight: 6, run: deletePhoto },
  { weight: 1, run: renamePhotoKey },
  { weight: 4, run: createProject },
  { weight: 5, run: renameProject },
  { weight: 2, run: giveProject },
  { weight: 0.5, run: deleteProject },
  { weight: 5, run: queueVideo },
  { weight: 12, run: advanceVideo },
];
