// Keeps the fleet's page fresh: loads it anew every ten seconds and takes over what has changed. Without it the page shows the moment it
// was loaded.
'use strict';
(() => {
  const place = id => document.getElementById(id);
  let isLost = false;
  // Nothing of before may be taken for the present.
  const lost = () => {
    if (isLost) return;
    isLost = true;
    const words = document.createElement('p');
    words.className = 'notice bad';
    words.setAttribute('role', 'alert');
    words.textContent = 'Disconnected: this page has lost its connection to LinkCloud; nothing is known of the masters now. '
      + 'It tries again by itself.';
    place('notice').replaceChildren(words);
    place('summary').textContent = '';
    for (const row of place('masters').rows) {
      const [, status, ...values] = row.cells;
      status.textContent = 'unknown';
      status.className = 'tone off';
      for (const value of values) value.textContent = '–';
    }
  };
  const take = (old, fresh) => {
    if (old.innerHTML === fresh.innerHTML) return;
    // Who walks through the masters with the keyboard stays where they are.
    const link = old.contains(document.activeElement) && document.activeElement.getAttribute('href');
    old.replaceChildren(...fresh.childNodes);
    if (link) [...old.querySelectorAll('a')].find(one => one.getAttribute('href') === link)?.focus({ preventScroll: true });
  };
  const look = async () => {
    try {
      const answer = await fetch('/', { cache: 'no-store', signal: AbortSignal.timeout(8000) });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const parts = ['notice', 'summary', 'masters'].map(id => [place(id), fresh.getElementById(id)]);
      if (parts.some(([, part]) => !part)) throw new Error('another page');
      for (const [old, part] of parts) take(old, part);
      isLost = false;
    } catch {
      lost();
    }
    setTimeout(look, isLost ? 3000 : 10000);
  };
  setTimeout(look, 10000);
})();
