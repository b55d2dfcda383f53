const boundsMs = [10, 20, 30, 40, 60, 80, 120, 250, 500, 1_000, 2_500, 5_000];

/** How many percent of the values are below each bound: `≤20 ms 3.1 %, ≤30 ms 40.2 %, …`; empty classes are left out. */
export function histogram(valuesMs: readonly number[]): string {
  let below = 0;
  const share = (count: number) => ((100 * count) / valuesMs.length).toFixed(1);
  const classes = boundsMs.flatMap((bound) => {
    const count = valuesMs.filter((value) => value <= bound).length - below;
    below += count;
    return count === 0 ? [] : [`≤${bound} ms ${share(count)} %`];
  });
  const rest = valuesMs.length - below;
  return [...classes, ...(rest > 0 ? [`more ${share(rest)} %`] : [])].join(', ');
}
