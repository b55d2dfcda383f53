/** The page's only style: one column, light or dark as the reader's screen is, and black on white on paper. */
export const style = `
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1a1d21; --dim: #5b6470; --line: #d9dee5;
  --good: #14743b; --bad: #b3261e; --open: #8a5a00; --plot: #2b62c4; --mark: #ffe08a; --mark-text: #1a1d21; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171b; --card: #1d2126; --text: #e8eaed; --dim: #9aa4b0; --line: #343b44;
  --good: #5fd08b; --bad: #ff8a80; --open: #f0c05a; --plot: #8ab4f8; --mark: #6b5200; --mark-text: #ffffff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem 1.25rem; margin: 0 0 1rem; }
h1 { font-size: 1.1rem; margin: 0; color: var(--dim); font-weight: 500; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .25rem 0 .5rem; }
.verdict { font-size: 1.9rem; line-height: 1.2; font-weight: 700; margin: .25rem 0 .5rem; }
.agrees { color: var(--good); } .differs { color: var(--bad); } .unproven { color: var(--open); }
.dim { color: var(--dim); font-size: .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin-top: 1rem; }
.tile { border-left: 3px solid var(--line); padding-left: .6rem; }
.tile b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 500; font-size: .9rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.value { font-family: ui-monospace, monospace; font-size: .88rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.scope { min-width: 12rem; }
.rows td { width: 42%; } .rows td:first-child { width: 16%; overflow-wrap: anywhere; }
.null { color: var(--dim); font-style: italic; }
mark { background: var(--mark); color: var(--mark-text); border-radius: .15rem; }
details { border-top: 1px solid var(--line); padding: .4rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
svg .axis { stroke: var(--line); } svg .line { stroke: var(--plot); fill: none; stroke-width: 1.5; } svg .dot { fill: var(--plot); }
@media (max-width: 40rem) {
  main { padding: .5rem; } section { padding: .75rem; } .verdict { font-size: 1.5rem; }
  .rows, .rows tbody, .rows tr, .rows td { display: block; width: 100% !important; } .rows thead { display: none; }
  .rows td { border: 0; padding: .1rem 0; } .rows tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
  .rows td:nth-child(2)::before { content: 'should be '; color: var(--dim); }
  .rows td:nth-child(3)::before { content: 'is '; color: var(--dim); } }
@media print {
  :root { --page: #fff; --card: #fff; --text: #000; --dim: #444; --line: #bbb; --good: #000; --bad: #000; --open: #000; --plot: #000; --mark: #ddd; --mark-text: #000; }
  body { font-size: 11pt; } section { border: 0; border-top: 1px solid #bbb; border-radius: 0; padding: .5rem 0; }
  tr, .tile, svg { break-inside: avoid; } h2, h3, summary { break-after: avoid; }
  .wide { overflow: visible; } details::details-content { content-visibility: visible; } }
`;
