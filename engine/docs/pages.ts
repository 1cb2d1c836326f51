/** The pages of the documentation: Swagger UI in our clothes, from files of our own, so that it works offline. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { OUTCOME_CODES, outcomeRule } from '../../domain/outcomes.ts';
import { type StaticFile, staticFile } from '../static-files.ts';

/** Swagger UI writes styles into elements and draws with data: images. */
export const DOCS_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

const CSS = 'text/css; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';

/** By path. */
export function docsFiles(): Map<string, StaticFile> {
  const find = createRequire(import.meta.url).resolve;
  const ours = (file: string) => readFileSync(new URL(`./page/${file}`, import.meta.url));
  const theirs = (file: string) => readFileSync(find(`swagger-ui-dist/${file}`));
  return new Map([
    ['/docs', staticFile(ours('index.html'), HTML)],
    ['/docs/problems', staticFile(Buffer.from(problemsPage()), HTML)],
    ['/docs/docs.css', staticFile(ours('docs.css'), CSS)],
    ['/docs/start.js', staticFile(ours('start.js'), SCRIPT)],
    ['/docs/swagger-ui.css', staticFile(theirs('swagger-ui.css'), CSS)],
    ['/docs/swagger-ui-bundle.js', staticFile(theirs('swagger-ui-bundle.js'), SCRIPT)],
  ]);
}

function problemsPage(): string {
  const rows = OUTCOME_CODES.map((code) => {
    const { status, title, detail, retryable } = outcomeRule(code);
    const advice = status >= 500 ? 'yes, with the same key' : retryable ? 'later' : 'no';
    return `<tr id="${code}"><td>${status}</td><th scope="row"><code>${code}</code></th><td>${escaped(title)}</td><td>${escaped(detail)}</td><td>${advice}</td></tr>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Problems: Stampede API</title>
<link rel="stylesheet" href="/docs/docs.css">
</head>
<body class="problems">
<header class="bar"><a href="/docs">Stampede API</a></header>
<main class="page">
<h1>Problems</h1>
<p>Every refusal is <code>application/problem+json</code> with one of these codes. A 5xx or a timeout on checkout is always safe to retry with the same Idempotency-Key.</p>
<div class="scroll"><table>
<thead><tr><th>Status</th><th>Code</th><th>Meaning</th><th>What to do</th><th>Try again?</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>
</main>
</body>
</html>
`;
}

/** Text as HTML; what stands between backticks is code. */
function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}
