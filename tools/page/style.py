"""The page's style sheet: light and dark, from 360 px on."""

CSS = """
:root { color-scheme:light dark; --ink:#1a2027; --soft:#5d6772; --card:#fff; --back:#f2f4f7;
  --edge:#dde2e8; --on:#c2331f; --tint:#c2331f12; --mqtt:#2f7ed8; --https:#e8890c; --calm:#2e8b57 }
@media (prefers-color-scheme:dark) { :root { --ink:#e8ebee; --soft:#9aa5b1; --card:#191e24;
  --back:#0f1317; --edge:#2d353e; --on:#ff8272; --tint:#ff827218; --calm:#5cc48b } }
@media (prefers-reduced-motion:reduce) { *,*::before,*::after {
  transition:none !important; animation:none !important } }
body { background:var(--back) !important; color:var(--ink); font-variant-numeric:tabular-nums }
.nicegui-content { max-width:1280px; margin:0 auto; padding:14px; gap:14px }
header.top { display:flex; flex-wrap:wrap; gap:4px 18px; align-items:baseline; width:100% }
h1 { font-size:20px; font-weight:650; line-height:1.3; margin:0; letter-spacing:-.01em }
h2 { font-size:14px; font-weight:650; line-height:1.3; margin:0 0 8px }
h3 { font-size:12px; font-weight:500; line-height:1.3; margin:9px 0 4px; color:var(--soft) }
.board { display:grid; gap:14px; width:100%; grid-template-columns:minmax(0,1.8fr) minmax(0,1fr) }
.side { display:flex; flex-direction:column; gap:14px; min-width:0 }
@media (max-width:900px) { .board { grid-template-columns:minmax(0,1fr) } }
.card { background:var(--card); border:1px solid var(--edge); border-radius:12px; padding:14px;
  box-sizing:border-box; min-width:0; width:100% }
.soft { color:var(--soft); font-size:13px }
.legend { display:flex; flex-wrap:wrap; gap:4px 16px; font-size:13px; color:var(--soft) }
.legend i, .dot { display:inline-block; width:9px; height:9px; border-radius:50%;
  margin-right:6px }
.dot { background:var(--soft) } .dot.mqtt { background:var(--mqtt) }
.dot.https { background:var(--https) } .dot.silent { background:var(--on) }
.pipe { display:grid; grid-template-columns:repeat(auto-fit,minmax(92px,1fr)); gap:8px }
.node { border:1px solid var(--edge); border-radius:9px; padding:7px 10px; min-width:0;
  position:relative }
.node.next::before { content:""; position:absolute; left:-9px; top:50%; width:9px; height:1px;
  background:var(--soft) }
.node b { font-size:18px; font-weight:600; display:block; white-space:nowrap }
.node.mqtt { border-color:var(--mqtt); box-shadow:inset 0 -3px 0 var(--mqtt) }
.node.https { border-color:var(--https); box-shadow:inset 0 -3px 0 var(--https) }
button.fault { display:grid; grid-template-columns:1fr auto; align-items:center; gap:0 10px;
  text-align:left; background:transparent; border:1px solid transparent; cursor:pointer;
  border-radius:8px; padding:4px 8px; color:var(--ink); font:inherit; width:100%;
  line-height:1.35 }
button.fault:hover { background:var(--back) }
button.fault b { font-size:14px; font-weight:550; display:block }
button.fault span { color:var(--soft); font-size:12.5px }
button.fault::after { content:""; width:30px; height:16px; border-radius:9px; grid-column:2;
  grid-row:1; background:radial-gradient(circle at 8px 8px,var(--card) 5px,transparent 6px)
  var(--soft) }
button.fault[aria-pressed=true] { background:var(--tint); border-color:var(--on) }
button.fault[aria-pressed=true]::after { background:
  radial-gradient(circle at 22px 8px,var(--card) 5px,transparent 6px) var(--on) }
button.once::after { content:"↻"; background:none; color:var(--soft); text-align:center;
  line-height:16px }
.chips { display:flex; flex-wrap:wrap; gap:6px }
button.chip { border:1px solid var(--edge); background:transparent; border-radius:8px;
  padding:5px 12px; color:var(--ink); font:inherit; font-size:14px; cursor:pointer }
button.chip[aria-pressed=true] { border-color:var(--mqtt); box-shadow:inset 0 0 0 1px var(--mqtt) }
:is(button,input,textarea,select,pre):focus-visible { outline:3px solid var(--mqtt);
  outline-offset:1px }
pre { margin:0; font-size:12px; line-height:1.5; overflow:auto; height:220px;
  white-space:pre-wrap; overflow-wrap:anywhere }
.scroll { overflow-x:auto } table { border-collapse:collapse; width:100%; font-size:14px }
th, td { text-align:right; padding:4px 10px; border-bottom:1px solid var(--edge);
  white-space:nowrap; font-weight:400 } th:first-child { text-align:left }
thead th { color:var(--soft); font-size:13px }
.q-field__native, .q-field__label, .q-field__marginal, .q-field__input {
  color:var(--ink) !important }
"""
