/** A small, safe subset of markdown as React elements: headings, lists, tables of two columns, code, links. Never HTML. */

import type { ReactNode } from 'react';

export function Markdown({ text }: { text: string }) {
  return <div className="markdown">{blocks(text)}</div>;
}

function blocks(text: string): ReactNode[] {
  const lines = text.replaceAll('\r', '').split('\n');
  const out: ReactNode[] = [];
  let at = 0;
  const take = (test: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && test(lines[at])) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const key = out.length;
    if (!line.trim()) at += 1;
    else if (line.startsWith('```')) {
      at += 1;
      out.push(
        <pre key={key}>
          <code>{take((one) => !one.startsWith('```')).join('\n')}</code>
        </pre>,
      );
      at += 1;
    } else if (/^#{1,6} /.test(line)) {
      at += 1;
      out.push(<h4 key={key}>{inline(line.replace(/^#+ /, ''))}</h4>);
    } else if (/^\s*[-*] /.test(line)) {
      out.push(
        <ul key={key}>
          {items(
            take((one) => /^\s*[-*] /.test(one) || /^\s{2,}\S/.test(one)),
            /^\s*[-*] /,
          )}
        </ul>,
      );
    } else if (/^\s*\d+[.)] /.test(line)) {
      out.push(
        <ol key={key}>
          {items(
            take((one) => /^\s*\d+[.)] /.test(one) || /^\s{2,}\S/.test(one)),
            /^\s*\d+[.)] /,
          )}
        </ol>,
      );
    } else if (line.startsWith('|')) {
      out.push(
        table(
          take((one) => one.startsWith('|')),
          key,
        ),
      );
    } else {
      out.push(<p key={key}>{inline(take((one) => one.trim() !== '' && !/^(#{1,6} |```|\||\s*[-*] )/.test(one)).join(' '))}</p>);
    }
  }
  return out;
}

function items(lines: string[], mark: RegExp): ReactNode[] {
  const list: string[] = [];
  for (const line of lines) {
    if (mark.test(line)) list.push(line.replace(mark, ''));
    else if (list.length) list[list.length - 1] += ` ${line.trim()}`;
  }
  return list.map((item, key) => <li key={key}>{inline(item)}</li>);
}

function table(lines: string[], key: number): ReactNode {
  const rows = lines
    .filter((line) => !/^\|[\s:|-]+\|?$/.test(line))
    .map((line) =>
      line
        .replace(/^\||\|\s*$/g, '')
        .split('|')
        .map((cell) => cell.trim()),
    );
  return (
    <table key={key}>
      <thead>
        <tr>
          {rows[0]?.map((cell, at) => (
            <th key={at}>{inline(cell)}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.slice(1).map((row, at) => (
          <tr key={at}>
            {row.map((cell, column) => (
              <td key={column}>{inline(cell)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** One line with code, bold and links. */
export function Inline({ text }: { text: string }) {
  return <>{inline(text)}</>;
}

function inline(text: string): ReactNode[] {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/).map((part, key) => {
    if (part.startsWith('`') && part.length > 2) return <code key={key}>{part.slice(1, -1)}</code>;
    if (part.startsWith('**') && part.length > 4) return <strong key={key}>{part.slice(2, -2)}</strong>;
    const link = /^\[([^\]]+)\]\((https?:\/\/[^)\s]+|\/[^)\s]*)\)$/.exec(part);
    return link ? (
      <a key={key} href={link[2]} target="_blank" rel="noreferrer">
        {link[1]}
      </a>
    ) : (
      part.replace(/^\[([^\]]+)\]\([^)\s]*\)$/, '$1')
    );
  });
}
