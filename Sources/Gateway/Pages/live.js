// Keeps the battery page live: texts and classes by place, new events on top. Without it the page shows the moment it was loaded.
'use strict';
(() => {
  const place = id => document.getElementById(id);
  const banner = place('banner');
  const disconnected = () => {
    place('headline').textContent = 'Disconnected';
    place('status').textContent = 'Disconnected';
    place('why').textContent = 'This page has lost its connection to the LinkMaster. It tries again by itself.';
    banner.className = 'banner off';
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
    const list = place('events');
    for (const event of state.events || []) {
      if (list.firstElementChild && list.firstElementChild.value >= event.n) continue;
      const item = document.createElement('li');
      item.value = event.n;
      const time = document.createElement('time');
      time.textContent = event.time;
      item.append(time, ' ' + event.text);
      list.prepend(item);
      while (list.children.length > 50) list.lastElementChild.remove();
    }
  };
  // A controller that was started again counts its events from 1: what is listed of the one before would hide them.
  follow('/events', () => place('events').replaceChildren(), apply, disconnected);
})();
