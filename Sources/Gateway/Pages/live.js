// Keeps the battery page live: texts, classes and notes by place, new events on top. Without it the page shows the moment it was loaded.
'use strict';
(() => {
  const place = id => document.getElementById(id);
  const banner = place('banner');
  const two = number => String(number).padStart(2, '0');
  // `2026-01-01T00:00:00Z` as a clock on the reader's wall shows it, with its zone.
  const local = moment => {
    const minutes = -moment.getTimezoneOffset(), size = Math.abs(minutes);
    const zone = minutes ? `${minutes < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}` : '';
    return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} `
      + `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())} UTC${zone}`;
  };
  const localise = time => {
    const moment = new Date(time.dateTime);
    if (isNaN(moment)) return;
    time.title = time.dateTime.replace('T', ' ').replace('Z', ' UTC');
    time.textContent = local(moment);
  };
  const note = (element, text) => { if (text) element.title = text; else element.removeAttribute('title'); };
  // As the server's own page looks while the controller is silent: nothing of before may be taken for the present.
  const disconnected = () => {
    for (const element of document.querySelectorAll('[data-unknown]')) element.textContent = element.dataset.unknown;
    for (const element of document.querySelectorAll('.values [data-unknown]')) element.className = '';
    for (const cell of document.querySelectorAll('.matrix td')) {
      cell.textContent = '–';
      cell.className = cell.classList.contains('surplus') ? 'surplus' : '';
      note(cell, '');
    }
    banner.className = 'banner off';
  };
  const opened = () => {
    // A controller that was started again counts its events from 1: what is listed of the one before would hide them.
    place('events').replaceChildren();
    for (const cell of document.querySelectorAll('.matrix td')) note(cell, '');
  };
  const apply = state => {
    if (state.layout !== banner.dataset.layout) return location.reload();
    for (const [id, text] of Object.entries(state.text || {})) {
      const element = place(id);
      if (element && element.textContent !== text) element.textContent = text;
    }
    for (const [id, kind] of Object.entries(state.kind || {})) {
      const element = place(id);
      if (element) element.className = kind;
    }
    for (const [id, text] of Object.entries(state.note || {})) {
      const element = place(id);
      if (element) note(element, text);
    }
    const list = place('events');
    for (const event of state.events || []) {
      if (list.firstElementChild && list.firstElementChild.value >= event.n) continue;
      const item = document.createElement('li');
      item.value = event.n;
      const time = document.createElement('time');
      time.dateTime = event.time;
      time.textContent = event.time;
      localise(time);
      item.append(time, ' ' + event.text);
      list.prepend(item);
      while (list.children.length > 50) list.lastElementChild.remove();
    }
  };
  for (const time of document.querySelectorAll('#events time')) localise(time);
  follow('/events', opened, apply, disconnected);
})();
