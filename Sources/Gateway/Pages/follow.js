// Follows what the server sends, and sees when nothing comes any more: for live.js and bus.js.
'use strict';
// opened: a stream has begun, and says everything anew; said: what it says; lost: nothing is heard any more.
const follow = (path, opened, said, lost) => {
  let source = null, timer = 0, isHeard = true;
  const wait = milliseconds => { clearTimeout(timer); timer = setTimeout(silent, milliseconds); };
  const silent = () => { lost(); begin(); wait(10000); };
  // Signs of life come every two seconds. A server without power, or one that stands still, ends no connection: only silence tells.
  const heard = () => { isHeard = true; wait(8000); };
  const begin = () => {
    // Anew even where a connection seems to be there: a stream says everything only at its beginning.
    if (source) source.close();
    source = new EventSource(path);
    source.onopen = () => { heard(); opened(); };
    source.onmessage = message => { heard(); said(JSON.parse(message.data)); };
    source.addEventListener('alive', heard);
    // The browser tries again by itself, but not after an answer that is an error; each try that fails comes here.
    source.onerror = () => {
      if (isHeard) wait(3000);
      isHeard = false;
    };
  };
  begin();
  heard();
};
