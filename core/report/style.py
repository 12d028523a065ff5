"""How a report looks: one style sheet, light and dark, from a phone to a desk."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--page:#f7f7f5;--card:#fff;--ink:#16181d;--soft:#5b616e;--faint:#e4e4df;--rule:#c9c9c3;
--accent:#2a67c4;--on-accent:#fff;--good:#0b7a4b;--bad:#b3261e;
--c0:#9b9fa8;--c1:#2a78d6;--c2:#d1570b;--c3:#0f8f63;--c4:#8a4fc9;--c5:#a67a00;--c6:#c53a6b;--c7:#147d92;--c8:#6b5b4d}
@media (prefers-color-scheme:dark){:root{--page:#121417;--card:#1b1e23;--ink:#eceef1;--soft:#a2a9b5;--faint:#2b2f37;
--rule:#454b56;--accent:#5b9bf0;--on-accent:#0b1220;--good:#5fd39c;--bad:#ff8f85;
--c0:#6d7480;--c1:#4f97ee;--c2:#e8813a;--c3:#2fb583;--c4:#ad82e6;--c5:#cfa02b;--c6:#e8719a;--c7:#3fb0c6;--c8:#b5a08e}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:19px;margin:40px 0 12px;letter-spacing:-.005em;overflow-wrap:anywhere;scroll-margin-top:12px}
p{margin:0}
.lead{color:var(--soft);overflow-wrap:anywhere}
.failed{color:var(--bad);font-weight:600;overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin-top:14px;font-size:14px}
a{color:var(--accent);text-decoration:none;overflow-wrap:anywhere}
a:hover{text-decoration:underline}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:22px}
.tile{background:var(--card);border:1px solid var(--faint);border-radius:10px;padding:12px 16px;min-width:0}
.tile .what{color:var(--soft);font-size:13px;overflow-wrap:anywhere}
.tile .number{font-size:28px;line-height:1.25;font-weight:650;letter-spacing:-.02em;text-align:left}
.tile .more{color:var(--soft);font-size:12.5px}
.lead+.panels,.note+.panels,.panels+.panels{margin-top:12px}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,370px),1fr));gap:14px;align-items:start;grid-auto-flow:dense}
figure{margin:0;min-width:0}
.panel{background:var(--card);border:1px solid var(--faint);border-radius:10px;padding:14px 16px}
.panel>figcaption{font-weight:600;margin-bottom:8px;overflow-wrap:anywhere}
.wide{grid-column:1/-1}
.note{color:var(--soft);font-size:13px;margin-top:8px;overflow-wrap:anywhere}
.empty{color:var(--soft)}
svg{display:block;max-width:100%;height:auto;font-family:inherit}
.chart svg{width:100%;max-width:520px;overflow:visible}
.grid{stroke:var(--faint);stroke-width:1}
.axis{stroke:var(--rule);stroke-width:1}
.tick{fill:var(--soft);font-size:11px}
.label{fill:var(--soft);font-size:11.5px}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.c0{stroke-width:1.2;opacity:.7}
.dot{fill:var(--c);stroke:var(--card);stroke-width:1.5}
.dot.hidden{opacity:0}
.dot.hidden:hover{opacity:1}
.c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}
.c6{--c:var(--c6)}.c7{--c:var(--c7)}.c8{--c:var(--c8)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;margin:0 0 6px;padding:0;font-size:13px;
color:var(--soft)}
.legend li{overflow-wrap:anywhere;min-width:0}
.key{display:inline-block;width:12px;height:3px;border-radius:2px;background:var(--c);margin-right:6px;
vertical-align:middle}
.bars{list-style:none;margin:0;padding:0}
.bars li{display:flex;align-items:center;gap:10px;padding:2px 0}
.bars .name{flex:0 1 32%;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-size:14px}
.track{flex:1 1 30%;height:10px;background:var(--faint);border-radius:3px;overflow:hidden}
.track i{display:block;height:100%;background:var(--accent);border-radius:3px}
.bars .value{flex:0 0 4.2em;white-space:nowrap;text-align:right;font-variant-numeric:tabular-nums;font-size:14px}
.bars .detail{flex:0 0 6.4em;text-align:right;color:var(--soft);font-size:12.5px;white-space:nowrap;overflow:hidden;
text-overflow:ellipsis}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;color:var(--soft);font-weight:500;font-size:13px;white-space:nowrap}
th,td{padding:5px 14px 5px 0;border-bottom:1px solid var(--faint);vertical-align:top}
tr:last-child td{border-bottom:0}
td{overflow-wrap:anywhere;unicode-bidi:isolate}
th:last-child,td:last-child{padding-right:0}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.gain{color:var(--good)}.loss{color:var(--bad)}
.cell{fill:var(--accent)}.ground{fill:var(--faint);opacity:.55}
.count{font-size:11px;fill:var(--ink)}.count.strong{fill:var(--on-accent)}
.many svg{max-width:none}
.confusions{margin:0;padding-left:1.6em;font-size:14px}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:16px 20px}
.example{min-width:0}
.example>p{font-size:13px;color:var(--soft);margin-bottom:4px;overflow-wrap:anywhere;unicode-bidi:isolate}
.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,250px),1fr))}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:6px}
.pair img{display:block;width:100%;height:auto;border-radius:5px;background:var(--faint)}
.pair figcaption{font-size:12px;color:var(--soft)}
.stack{display:flex;height:22px;border-radius:5px;overflow:hidden;gap:2px;margin:2px 0 10px}
.stack i{display:block;height:100%;background:var(--c)}
details summary{cursor:pointer;color:var(--accent);font-size:14px;padding:2px 0}
pre{margin:8px 0 0;padding:12px 14px;background:var(--page);border:1px solid var(--faint);border-radius:8px;
overflow-x:auto;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{color:var(--soft);font-size:13px;margin-top:40px}
@media (max-width:600px){main{padding:20px 12px 40px}h1{font-size:22px}.panel{padding:12px}.tile .number{font-size:24px}
}
@media print{.panel,.tile{break-inside:avoid}}
"""
