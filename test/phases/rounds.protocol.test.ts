import { expect, test } from 'vitest';
import { startLibrary } from './world.ts';

test('forward and back three times: equal at every stop, each side refuses when it is not the truth', async () => {
  await using library = await startLibrary();
  const { app } = library;
  await library.arm();
  for (let round = 1; round <= 3; round += 1) {
    const loan = 1_000 + round;
    await app.query("INSERT INTO library.loans VALUES ($1, 2, 'legacy', NULL)", [loan]);
    await library.equal();
    await library.validate();
    expect(await library.change('cutover')).toMatchObject({ outcome: 'switched', phase: 'reverse' });
    expect(await library.phase()).toBe('reverse');
    await library.equal();

    await expect(app.query("UPDATE library.loans SET note = 'late' WHERE id = 1")).rejects.toMatchObject({
      code: 'LS001',
      message: expect.stringMatching(/since the cutover the application writes to library.borrowings/),
    });
    await app.query("UPDATE library.people SET name = 'still mine' WHERE id = 1");
    await app.query("INSERT INTO library.borrowings VALUES ($1, 3, 'normalized', 'r')", [loan + 100]);
    await app.query("UPDATE library.memberships SET plan = 'plus' WHERE person_id = 4");
    await app.query('UPDATE library.borrowings SET person_id = 5 WHERE id = $1', [loan]);
    await library.equal();
    const { rows } = await app.query('SELECT person_id, title FROM library.loans WHERE id IN ($1, $2) ORDER BY id', [
      loan,
      loan + 100,
    ]);
    expect(rows).toEqual([
      { person_id: '5', title: 'legacy' },
      { person_id: '3', title: 'normalized' },
    ]);

    await library.validate();
    expect(await library.change('rollback')).toMatchObject({ outcome: 'switched', phase: 'forward' });
    await library.equal();
    await expect(app.query('DELETE FROM library.borrowings WHERE id = 1')).rejects.toMatchObject({ code: 'LS001' });
    await app.query("UPDATE library.people SET plan = 'basic' WHERE id = 4");
    await library.equal();
  }
});
