// Keeps the bus page live: new frames on top, findings and handshake where they have changed.
'use strict';
(() => {
  const place = id => document.getElementById(id);
  const cells = (row, texts) => { for (const text of texts) row.insertCell().textContent = text; return row; };
  const apply = news => {
    if (news.speaks !== undefined) {
      place('speaks').textContent = news.speaks;
      place('verdict').textContent = news.verdict || 'Nothing can be judged yet.';
      place('findings').replaceChildren(...news.findings.map(([name, severity, text, fix]) => {
        const item = document.createElement('li');
        const strong = document.createElement('strong');
        strong.textContent = name;
        item.append(strong, ` (${severity}): ${text}. ${fix ? 'Try: ' + fix : ''}`);
        return item;
      }));
      const table = place('timeline');
      table.replaceChildren();
      for (const entry of news.timeline) cells(table.insertRow(), entry);
    }
    if (place('pause').checked) return;
    const frames = place('frames');
    for (const frame of news.frames || []) {
      const row = cells(frames.insertRow(0), frame.slice(0, 6));
      row.lastElementChild.className = 'wide';
      if (frame[6]) row.className = 'alarm';
    }
    while (frames.rows.length > 60) frames.deleteRow(-1);
  };
  place('frames').replaceChildren();
  const disconnected = () => {
    place('verdict').textContent = 'Disconnected: this page has lost its connection to the LinkMaster; what it shows is of the past. '
      + 'It tries again by itself.';
  };
  follow('/bus/events' + location.search, () => place('frames').replaceChildren(), apply, disconnected);
})();
