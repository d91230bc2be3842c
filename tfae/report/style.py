"""The look of a page: one column, light and dark, narrow and wide, on paper."""

CSS = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #59636e; --paper: #f6f7f9;
  --card: #ffffff; --line: #dde1e6; --accent: #1f5fa8; --good: #0b6e4f; --warn: #8a4b00; --bad: #a3210f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7eaee; --soft: #a2acb7; --paper: #14171a; --card: #1d2125; --line: #343a41;
    --accent: #85b7f3; --good: #5fcba3; --warn: #f0b35f; --bad: #ff9482; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .8rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .6rem; }
p { margin: .5rem 0; max-width: 48rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
nav { margin: 1rem 0 0; } nav a { margin-right: 1rem; white-space: nowrap; }
.soft { color: var(--soft); }
.state { display: inline-block; padding: .1rem .7rem; border-radius: 1rem; font-weight: 600;
  border: 1px solid currentColor; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.note { border-left: 4px solid var(--warn); background: var(--card); padding: .5rem .8rem;
  margin: .8rem 0; overflow-wrap: anywhere; }
.note.bad { border-color: var(--bad); color: inherit; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem;
  margin: 1.2rem 0 0; padding: 0; list-style: none; }
.key li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .6rem .8rem; }
.key b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.key span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; margin: .6rem 0; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; padding: .5rem .8rem 0; color: var(--soft); }
th, td { text-align: left; padding: .38rem .8rem; border-top: 1px solid var(--line);
  vertical-align: top; font-variant-numeric: tabular-nums; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; } th code { white-space: nowrap; }
td { min-width: 5.5rem; } td code { display: inline-block; min-width: 9rem; }
.number { text-align: right; } td.number { white-space: nowrap; }
.best { font-weight: 700; color: var(--good); }
dl { margin: .6rem 0; }
dl div { display: grid; grid-template-columns: minmax(8rem, 13rem) 1fr; gap: .2rem 1rem;
  padding: .3rem 0; border-bottom: 1px solid var(--line); }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .7rem .9rem; font-size: .85rem; line-height: 1.45; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
dd code, td code, th code { font-size: .9em; overflow-wrap: anywhere; }
details { margin: .7rem 0; } summary { cursor: pointer; color: var(--accent); }
.pictures { columns: 27rem; column-gap: 1rem; }
figure { margin: 0 0 1rem; background: #ffffff; color: #1c2126; border: 1px solid var(--line);
  border-radius: .5rem; padding: .6rem; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure.wide { column-span: all; }
figcaption { font-size: .85rem; color: #59636e; margin-top: .4rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 30rem) {
  dl div { grid-template-columns: 1fr; gap: 0; }
  h1 { font-size: 1.4rem; } th, td { padding: .32rem .5rem; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --card: #fff; --line: #bbb;
    --accent: #000; --good: #000; --warn: #000; --bad: #000; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; } nav { display: none; }
  .scroll, pre { overflow: visible; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  .pictures { columns: 2; } h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
}
"""
