/** The look of the hosted page: one small style, light and dark. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --ink: #16202e; --soft: #526070; --line: #d4dae2; --paper: #fff; --ground: #eef1f5; --go: #0b5d3b }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf3; --soft: #a4b1c0; --line: #35404d; --paper: #1b232d; --ground: #11171e; --go: #0f7a4e }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
main { width: min(26rem, 100%); padding: 1.75rem; background: var(--paper); border: 1px solid var(--line); border-radius: .75rem }
h1 { margin: .25rem 0 1rem; font-size: 1.35rem; line-height: 1.25 }
.bank { margin: 0; color: var(--soft); font-size: .875rem }
.amount { margin: 0 0 1rem; font-size: 2rem; font-weight: 650; font-variant-numeric: tabular-nums }
dl { margin: 0 0 1.5rem; border-top: 1px solid var(--line) }
dl div { display: flex; gap: 1rem; justify-content: space-between; padding: .5rem 0; border-bottom: 1px solid var(--line) }
dt { color: var(--soft) }
dd { margin: 0; text-align: right; overflow-wrap: anywhere }
form { display: flex; gap: .75rem }
button, a.approve { flex: 1; min-height: 2.9rem; padding: .5rem 1rem; font: inherit; font-weight: 600; border-radius: .5rem; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: inherit }
.approve, a.approve { background: var(--go); border-color: var(--go); color: #fff }
a.approve { display: inline-block; text-decoration: none }
:focus-visible { outline: 3px solid #3b82f6; outline-offset: 2px }
`.trim();
